/*
 * The protocol of an action: who decides, who carries it out, and what a clock, a crash and a Redis
 * that forgets can do to it. What is one `atomic` here is one Lua script or one request of the API
 * server there; everything between two of them may be interleaved.
 *
 * Two approvers and the requester click in any order, some of them twice; somebody denies, time runs
 * out, the requester takes it back, somebody stops what runs. Two bots carry it out; one may die at any point, and each may be
 * held up at any point for as long as it takes, which in a model is the same as not being scheduled.
 * Every lease may end at any moment. Once, Redis fails over and forgets the fences it gave out and
 * that the action was claimed.
 *
 * One thing is assumed: a write ends before the hold on the Lease object does, which `guard` makes
 * at least half as long as the lease. A write that hangs in the network for longer is not covered.
 *
 * -DNO_FENCE, -DNO_SELF_CHECK, -DNO_VOTE_CHECK, -DNO_STOP_CHECK and -DNO_EDGES each take one part
 * out: then a counterexample must be found.
 */

#define QUORUM 2
#define REQUESTER 2
#define CLICKS 3
#define CLAIMS 3
#define FENCES 8
#define CRASHES 1
#define NOBODY 9

mtype = { pending, approved, running, succeeded, stopped, denied, expired, cancelled }

mtype state = pending;
byte votes = 0;
bool voted[3];

/* Redis: the gateway's lease and the action's. */
byte lastFence = 0;
byte leaseOwner = NOBODY;
bool actionHeld = false;
byte actionFence = 0;
bool stopping = false;

/* The cluster: the Lease object, and what the action is to do there. */
byte holdFence = 0;
byte holder = NOBODY;
bool holdValid = false;
bool applied = false;

/* What may be said about all that. */
byte writer[FENCES];
byte newestWrite = 0;
bool writing[2];
bool fenceUsedTwice = false;
bool staleWrite = false;
bool lateWrite = false;
byte claims = 0;
byte crashes = 0;

#define final (state == succeeded || state == stopped || state == denied || state == expired || state == cancelled)
#define begun (state == approved || state == running || state == succeeded || state == stopped)
#define claimable (state == approved || (state == running && !actionHeld))

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
#define is_new(person) (!voted[person])
#endif

#ifdef NO_STOP_CHECK
#define may_write true
#else
#define may_write (!stopping)
#endif

#ifdef NO_FENCE
#define holds(me, fence) true
#define takes(me, fence) true
#define waits(me, fence) false
#else
#define holds(me, fence) (holdValid && holder == me && holdFence == fence)
#define waits(me, fence) (holdValid && holder != me && holder != NOBODY)
#define takes(me, fence) (!waits(me, fence) && fence > holdFence)
#endif

inline approve(person) {
  atomic {
    if
    :: is_pending && is_other(person) && is_new(person) ->
       voted[person] = true;
       votes++;
       if
       :: votes >= QUORUM -> state = approved
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
  :: left > 0 -> left--; end(expired, is_pending || state == approved)
  :: left > 0 -> left--; end(cancelled, is_pending || state == approved)
  :: left > 0 -> left--; atomic { if :: state == running -> stopping = true :: else fi }
  :: left == 0 -> break
  od
}

proctype LeaseClock() {
  do
  :: atomic { leaseOwner != NOBODY -> leaseOwner = NOBODY }
  :: atomic { actionHeld -> actionHeld = false }
  :: atomic { holdValid && (holder == NOBODY || !writing[holder]) -> holdValid = false }
  :: final -> break
  od
}

proctype Failover() {
  atomic {
    lastFence = 0;
    leaseOwner = NOBODY;
    actionHeld = false;
    actionFence = 0;
    stopping = false;
    if
    :: state == running -> state = approved
    :: else
    fi
  }
}

proctype Bot(byte me) {
  byte fence = 0;
  byte seen = 0;

again:
  fence = 0;
  seen = 0;
  do
  :: final -> goto over
  :: claims >= CLAIMS -> goto over
  :: claimable && claims < CLAIMS -> break
  od;

  seen = holdFence;
  atomic {
    if
    :: leaseOwner == NOBODY && claims < CLAIMS ->
       claims++;
       lastFence = (seen > lastFence -> seen : lastFence);
       lastFence = (actionFence > lastFence -> actionFence : lastFence) + 1;
       fence = lastFence;
       leaseOwner = me
    :: else -> goto again
    fi
  }
  atomic {
    if
    :: claimable && fence > actionFence ->
       state = running;
       actionHeld = true;
       actionFence = fence
    :: else -> goto again
    fi
  }
  if
  :: crashes < CRASHES -> crashes++; goto again
  :: true
  fi;

  /* A bot that has died was told to stop. */
  if
  :: stopping -> goto finish
  :: else
  fi;

  /* While another holds it this run waits, and may lose the action meanwhile. */
  atomic {
    if
    :: takes(me, fence) ->
       holdFence = fence;
       holder = me;
       holdValid = true
    :: !takes(me, fence) && !waits(me, fence) -> goto again
    :: waits(me, fence) && !(state == running && actionFence == fence) -> goto again
    fi
  }

  if
  :: applied -> goto finish
  :: else
  fi;

  atomic {
    if
    :: holds(me, fence) && may_write ->
       lateWrite = lateWrite || stopping;
       writing[me] = true
    :: holds(me, fence) && !may_write -> goto finish
    :: else -> goto again
    fi
  }
  if
  :: crashes < CRASHES ->
     atomic { crashes++; writing[me] = false };
     goto again
  :: true
  fi;
  atomic {
    if
    :: writer[fence] != 0 && writer[fence] != me + 1 -> fenceUsedTwice = true
    :: else -> writer[fence] = me + 1
    fi;
    if
    :: fence < newestWrite -> staleWrite = true
    :: else -> newestWrite = fence
    fi;
    applied = true;
    writing[me] = false
  }
  if
  :: crashes < CRASHES -> crashes++; goto again
  :: true
  fi;

finish:
  atomic {
    if
    :: state == running && actionFence == fence ->
       state = (stopping -> stopped : succeeded)
    :: else
    fi;
    if
    :: leaseOwner == me -> leaseOwner = NOBODY
    :: else
    fi;
    if
    :: holder == me && holdFence == fence -> holdValid = false
    :: else
    fi
  };
  goto again;

over:
  skip
}

init {
  atomic {
    run Clicks();
    run LeaseClock();
    run Failover();
    run Bot(0);
    run Bot(1)
  }
}

ltl quorum_and_no_self {
  [] (begun -> (voted[0] && voted[1] && !voted[REQUESTER]))
}
ltl once_per_fence {
  [] (!fenceUsedTwice && !staleWrite)
}
ltl nothing_after_a_stop {
  [] (!lateWrite && !(stopping && state == succeeded))
}
ltl terminal_stays {
  ([] (state == succeeded -> [] (state == succeeded)))
  && ([] (state == stopped -> [] (state == stopped)))
  && ([] (state == denied -> [] (state == denied)))
  && ([] (state == expired -> [] (state == expired)))
  && ([] (state == cancelled -> [] (state == cancelled)))
}
