/*
 * The protocol of an action: who decides, who carries it out, and what a clock, a crash, a Stop and
 * a Redis that forgets can do to it. What is one `atomic` here is one Lua script or one request of
 * the API server there; everything between two of them may be interleaved.
 *
 * An action has a set of requirements: TARGET's, of one or two votes, and PRODUCTION's, of one
 * vote, which counts where the gateway also runs in production. Person 0 may vote for TARGET,
 * person 1 and the requester for both. They click in any order, some of them twice; somebody
 * denies, time runs out, the requester cancels. At any moment a person may leave a group, the
 * quorum may be raised, and the gateway may appear in production. A vote serves what its person
 * could approve when it was cast, and counts for as long as that person still can.
 *
 * Two bots carry the action out in two writes: they mint a token, then apply the rest. One bot may
 * die at any point, and each may be held up at any point for as long as it takes, which in a model
 * is the same as not being scheduled. For the same reason nobody waits for a lease that may end at
 * any moment: those of the gateway, of the action and of the Lease object are over as soon as
 * another bot wants them. Once, Redis fails over and forgets the fences it gave out, that the
 * action was claimed, and a Stop.
 *
 * The token is minted under a lease of its API Management gateway: a run takes it, computes the
 * requirements again, compares them with the votes, renews the lease, asks Azure and writes the
 * Secret; if the votes no longer suffice, the action ends as superseded. Another action that brings
 * the gateway to production records that under the same lease.
 *
 * A Stop sets a flag on a running action. A run looks at the flag before each write, after it
 * looked at its hold on the Lease object; a Stop that arrives between that look and the write lets
 * this one write through. From then on the action ends only as stopped. A bot that takes it over
 * sees the flag and ends it once it has the hold, so the write that was let through lands before.
 *
 * What is assumed:
 * - A write ends before the hold on the Lease object does, which `guard` makes at least half as
 *   long as the lease. A write that hangs in the network for longer is not covered: the run that
 *   sent it names it as it ends, and a run that takes the action over does not know of it.
 * - Asking Azure and writing the Secret are one write, which ends before the renewed lease of the
 *   API Management gateway does. A token whose bot dies between the two is lost.
 * - What a bot reads of groups, settings and placements right before a script counts as read in it.
 * - A placement that a watcher notices, or a membership that ends, between the check and the call
 *   to Azure is not covered: neither waits for a lease.
 * - A cluster that does not answer for longer than a hold lasts lets a stopped action end without
 *   the hold. That is not modelled.
 * - A Stop that Redis forgets counts as never asked for. Who may ask for one is checked before.
 *
 * All of it at once has too many states, so one of four parts is chosen:
 * -DDECIDING: people and a world that changes; no bots.
 * -DRUNNING: people, then bots, a failover and a Stop; the requirements do not change, and the
 *   change keeps its token, so it is one write.
 * -DMINTING: an approved action; bots, a world that changes, another action.
 * -DSTOPPING: an approved action; bots and a Stop. Leases end with their bots, and only a few times
 *   before, so that it can be asked whether a stopped action ends.
 *
 * Each -DNO_... below takes one piece out: then a counterexample must be found.
 */

#define TARGET 0
#define PRODUCTION 1
#define REQUESTER 2
#define NOBODY 9

#ifdef DECIDING
#define CLICKS 4
#else
#define CLICKS 3
#endif
#define CRASHES 1
#ifdef STOPPING
#define CLAIMS 6
#define LAPSES 3
#elif defined(MINTING)
#define CLAIMS 2
#else
#define CLAIMS 3
#endif

mtype = {
  pending, approved, running, succeeded, stopped, superseded, denied, expired, cancelled
}

mtype state = pending;

/* By requirement and person: the votes, and who is an approver now. */
byte votes[6];
bool approver[6];
byte quorumShown = 1;
byte quorumToday = 1;

/* Whether production's requirement was shown with the plan; who has found the gateway there. */
bool shown = false;
bool noticed = false;
bool recorded = false;

/* Redis: the newest fence, the claim of the action, the lease to mint under, and the Stop. */
byte lastFence = 0;
bool actionHeld = false;
byte actionFence = 0;
byte mintOwner = NOBODY;
bool mintRenewed = false;
bool stopAsked = false;

/* The cluster: the Lease object, and what the action is to do there. */
byte holdFence = 0;
byte holder = NOBODY;
bool minted = false;
bool applied = false;

/* What the properties speak of. */
bool unjustified = false;
bool mintedUnmet = false;
byte writer[CLAIMS + 1];
byte newestWrite = 0;
bool fenceUsedTwice = false;
bool staleWrite = false;
bool writing[2];
bool pastGuard[2];
byte letThrough = 0;
bool lateWrite = false;
bool landedAfterEnd = false;
byte claims = 0;
byte crashes = 0;
byte lapses = 0;

#define final (state != pending && state != approved && state != running)
#define claimable (state == approved || (state == running && lapsed))
#ifdef STOPPING
#define lapsed (!actionHeld || lapses < LAPSES)
#define may_lapse false
#else
#define lapsed true
#define may_lapse true
#endif

#define of(requirement, person) (3 * requirement + person)
#define counted(requirement, person) \
  (votes[of(requirement, person)] * counts(requirement, person))
#define sum(requirement) \
  (counted(requirement, 0) + counted(requirement, 1) + counted(requirement, REQUESTER))
#define greater(one, other) (one > other -> one : other)
#define found (noticed || recorded)

#ifdef NO_TODAY
#define counts(requirement, person) true
#define quorum quorumShown
#define grown false
#else
#define counts(requirement, person) approver[of(requirement, person)]
#define quorum greater(quorumShown, quorumToday)
#define grown (found && !shown)
#endif

#ifdef NO_SET
#define met (sum(TARGET) >= quorum || (shown && sum(PRODUCTION) >= 1))
#else
#define met (sum(TARGET) >= quorum && (!shown || sum(PRODUCTION) >= 1))
#endif

/* The same counted by people, and never the requester: it holds whatever is taken out above. */
#define voted(requirement, person) \
  (votes[of(requirement, person)] > 0 && approver[of(requirement, person)])
#define people(requirement) (voted(requirement, 0) + voted(requirement, 1))
#define enough_for_target (people(TARGET) >= greater(quorumShown, quorumToday))
#define enough_for_production (people(PRODUCTION) >= 1)

#ifdef NO_EDGES
#define is_pending true
#else
#define is_pending (state == pending)
#endif

#ifdef NO_SELF_CHECK
#define is_other(person) true
#else
#define is_other(person) (person != REQUESTER)
#endif

#ifdef NO_VOTE_CHECK
#define is_new(person) true
#else
#define is_new(person) (votes[of(TARGET, person)] + votes[of(PRODUCTION, person)] == 0)
#endif

#ifdef NO_FENCE
#define holds(me, fence) true
#define takes(me, fence) true
#define waits(me, fence) false
#else
#define holds(me, fence) (holder == me && holdFence == fence)
#define waits(me, fence) (holder == 1 - me && writing[1 - me])
#define takes(me, fence) (!waits(me, fence) && fence > holdFence)
#endif

#ifdef NO_RECHECK
#define may_mint true
#else
#define may_mint (met && !grown)
#endif

#ifdef NO_MINT_LEASE
#define mint_lease_free true
#define mint_lease_kept(me) true
#else
#define mint_lease_free (mintOwner == NOBODY || (may_lapse && !mintRenewed))
#ifdef NO_RENEWAL
#define mint_lease_kept(me) true
#else
#define mint_lease_kept(me) (mintOwner == me)
#endif
#endif

#ifdef NO_STOP_CHECK
#define may_write true
#else
#define may_write (!stopAsked)
#endif

#ifdef NO_STOP_HOLD
#define may_end_without_hold stopAsked
#else
#define may_end_without_hold false
#endif

#ifdef NO_STOP_AT_END
#define may_end(how) true
#else
#define may_end(how) (how == stopped || !stopAsked)
#endif

inline approve(person) {
  atomic {
    if
    :: is_pending && is_other(person) && is_new(person) && !grown &&
       (approver[of(TARGET, person)] || (shown && approver[of(PRODUCTION, person)])) ->
       votes[of(TARGET, person)] = votes[of(TARGET, person)] + approver[of(TARGET, person)];
       votes[of(PRODUCTION, person)] =
         votes[of(PRODUCTION, person)] + (shown && approver[of(PRODUCTION, person)]);
       if
       :: met ->
          state = approved;
          if
          :: !enough_for_target || (found && !enough_for_production) -> unjustified = true
          :: else
          fi
       :: else
       fi
    :: else
    fi
  }
}

inline end(how, allowed) {
  atomic {
    if
    :: allowed -> state = how
    :: else
    fi
  }
}

/* People and time: each click may be anybody's, so one may come twice, or after the decision. */
proctype Clicks() {
  byte left = CLICKS;
  do
  :: left > 0 -> left--; approve(0)
  :: left > 0 -> left--; approve(1)
  :: left > 0 -> left--; approve(REQUESTER)
  :: left > 0 -> left--; end(denied, is_pending)
  :: left > 0 -> left--; end(superseded, is_pending && grown)
  :: left > 0 -> left--; end(expired, is_pending || state == approved)
  :: left > 0 -> left--; end(cancelled, is_pending || state == approved)
  :: left == 0 -> break
  od
}

/* Groups lose people, settings get stricter, and a watcher sees a pod in production. */
proctype World() {
  do
#ifdef DECIDING
  :: approver[of(TARGET, 0)] -> approver[of(TARGET, 0)] = false
  :: quorumToday < 2 -> quorumToday = 2
#endif
  :: approver[of(TARGET, 1)] -> approver[of(TARGET, 1)] = false
  :: approver[of(PRODUCTION, 1)] -> approver[of(PRODUCTION, 1)] = false
  :: !noticed -> noticed = true
  :: break
  od
}

/* Another action that brings the gateway to production. To hold the lease for longer than this step
   would only keep the others waiting. */
proctype Other() {
  atomic {
    mint_lease_free ->
    recorded = true;
    mintOwner = NOBODY
  }
}

/* The requester or an approver stops it while it runs. */
proctype Stop() {
  if
  :: atomic {
       state == running ->
       stopAsked = true;
       letThrough = pastGuard[0] + pastGuard[1]
     }
  :: final
  fi
}

proctype Failover() {
  atomic {
    lastFence = 0;
    actionFence = 0;
    if
    :: state == running -> state = approved; stopAsked = false; letThrough = 0
    :: else
    fi
  }
}

/* A bot that dies starts again; its leases end then, for nobody notices how much later that is. */
inline may_die() {
  if
  :: atomic {
       crashes < CRASHES ->
       crashes++;
       writing[me] = false;
       pastGuard[me] = false;
       goto again
     }
  :: true
  fi
}

/* The hold lasts until the write ends; then the flag is looked at. */
inline guard() {
  atomic {
    if
    :: holds(me, fence) -> writing[me] = true
    :: !holds(me, fence) || may_lapse -> goto again
    fi
  };
  atomic {
    if
    :: may_write -> pastGuard[me] = true
    :: else -> writing[me] = false; goto stop
    fi
  };
  may_die()
}

/* It begins and ends in one step: as late as it could have ended. */
inline write(done) {
  if
  :: stopAsked && letThrough == 0 -> lateWrite = true
  :: stopAsked && letThrough > 0 -> letThrough--
  :: else
  fi;
  if
  :: state == stopped -> landedAfterEnd = true
  :: else
  fi;
  if
  :: writer[fence] != 0 && writer[fence] != me + 1 -> fenceUsedTwice = true
  :: else -> writer[fence] = me + 1
  fi;
  if
  :: fence < newestWrite -> staleWrite = true
  :: else -> newestWrite = fence
  fi;
  done = true;
  writing[me] = false;
  pastGuard[me] = false
}

inline let_mint_go() {
  if
  :: mintOwner == me -> mintOwner = NOBODY; mintRenewed = false
  :: else
  fi;
  targetMet = false;
  productionMet = false;
  foundAtCheck = false
}

inline let_go() {
  let_mint_go();
  if
  :: holder == me && holdFence == fence -> holder = NOBODY
  :: else
  fi;
#ifdef STOPPING
  if
  :: actionFence == fence -> actionHeld = false
  :: else
  fi;
#endif
  fence = 0
}

/* The lease may be lost during the check; once renewed, it lasts until the write ends. */
inline hold_and_check() {
  atomic {
    mint_lease_free ->
    mintOwner = me;
    mintRenewed = false
  }
  atomic {
    targetMet = enough_for_target;
    productionMet = enough_for_production;
    foundAtCheck = found;
    if
    :: may_mint
    :: else -> goto supersede
    fi
  }
  atomic {
    if
    :: mint_lease_kept(me) -> mintRenewed = (mintOwner == me)
    :: else -> goto mint
    fi
  }
}

inline finish(how) {
  atomic {
    if
    :: state == running && actionFence == fence && may_end(how) -> state = how
    :: state == running && actionFence == fence && !may_end(how) -> goto stop
    :: else
    fi
  }
}

proctype Bot(byte me) {
  byte fence = 0;
  byte seen = 0;
  bool targetMet = false;
  bool productionMet = false;
  bool foundAtCheck = false;

again:
  atomic {
    writing[me] = false;
    pastGuard[me] = false;
    let_go()
  }
  do
  :: final -> goto over
  :: claims >= CLAIMS -> goto over
  :: claimable && claims < CLAIMS -> break
  od;

  seen = holdFence;
  atomic {
    if
    :: claims < CLAIMS ->
       claims++;
       lastFence = greater(seen, lastFence);
       lastFence = greater(actionFence, lastFence) + 1;
       fence = lastFence;
       seen = 0
    :: else -> goto again
    fi
  }
  atomic {
    if
    :: claimable && fence > actionFence ->
       lapses = lapses + actionHeld;
       state = running;
       actionFence = fence;
#ifdef STOPPING
       actionHeld = true
#endif
    :: else -> goto again
    fi
  }
  may_die();

  /* While another run writes this one waits, and may lose the action meanwhile. */
  atomic {
    if
    :: takes(me, fence) ->
       holdFence = fence;
       holder = me
    :: !takes(me, fence) && !waits(me, fence) -> goto again
    :: waits(me, fence) && !(state == running && actionFence == fence) -> goto again
    :: may_end_without_hold -> goto stop
    fi
  }

mint:
  if
  :: minted -> goto apply
  :: else
  fi;
  hold_and_check();
  guard();
  atomic {
    if
    :: !targetMet || ((foundAtCheck || recorded) && !productionMet) -> mintedUnmet = true
    :: else
    fi;
    let_mint_go();
    write(minted)
  }
  may_die();

apply:
  if
  :: applied -> goto done
  :: else
  fi;
  guard();
  atomic { write(applied) }
  may_die();

done:
  finish(succeeded);
  goto again;

supersede:
  finish(superseded);
  goto again;

stop:
#ifndef NO_STOP_END
  finish(stopped);
#endif
  goto again;

over:
  skip
}

init {
  atomic {
    approver[of(TARGET, 0)] = true;
    approver[of(TARGET, 1)] = true;
    approver[of(TARGET, REQUESTER)] = true;
    approver[of(PRODUCTION, 1)] = true;
    approver[of(PRODUCTION, REQUESTER)] = true;
#if defined(DECIDING) || defined(MINTING)
    if
    :: shown = true; noticed = true
    :: true
    fi;
#endif
#if defined(MINTING) || defined(STOPPING)
    state = approved;
    votes[of(TARGET, 1)] = 1;
    votes[of(PRODUCTION, 1)] = shown;
#endif
#ifdef DECIDING
    if
    :: quorumShown = 2
    :: true
    fi;
    run Clicks();
    run World()
#else
#ifdef RUNNING
    quorumShown = 2;
    minted = true;
    run Clicks();
    run Failover();
#endif
#ifdef MINTING
    run World();
    run Other();
#else
    run Stop();
#endif
    run Bot(0);
    run Bot(1)
#endif
  }
}

ltl quorum_and_no_self {
  [] (!unjustified && votes[of(TARGET, REQUESTER)] == 0 && votes[of(PRODUCTION, REQUESTER)] == 0)
}
ltl once_per_fence {
  [] (!fenceUsedTwice && !staleWrite)
}
ltl terminal_stays {
  ([] (state == succeeded -> [] (state == succeeded)))
  && ([] (state == stopped -> [] (state == stopped)))
  && ([] (state == superseded -> [] (state == superseded)))
  && ([] (state == denied -> [] (state == denied)))
  && ([] (state == expired -> [] (state == expired)))
  && ([] (state == cancelled -> [] (state == cancelled)))
}
ltl minted_as_required {
  [] (!mintedUnmet && (state == superseded -> !minted))
}
ltl no_write_after_stop {
  [] (!lateWrite && letThrough <= 1)
}
ltl stop_is_the_only_end {
  [] ((stopAsked -> (state == running || state == stopped)) && (state == stopped -> stopAsked))
}
ltl nothing_lands_after_end {
  [] (!landedAfterEnd)
}
ltl stop_ends {
  [] (stopAsked -> <> final)
}

/* That these have counterexamples shows that the part gets there. */
ltl never_approved { [] (state != approved) }
ltl never_succeeded { [] (state != succeeded) }
ltl never_stopped { [] (state != stopped) }
ltl never_superseded { [] (state != superseded) }
ltl never_denied { [] (state != denied) }
ltl never_expired { [] (state != expired) }
ltl never_cancelled { [] (state != cancelled) }
