"""auth.test, api.test, apps.connections.open, users.*, usergroups.*, team.info, bots.info."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.sandbox.slack.api.call import Args, Context, Method, page
from bot.sandbox.slack.messages import BOT_ICONS
from bot.sandbox.slack.model import JSON, SlackError, User


def api_test(context: Context, args: Args) -> JSON:
    """api.test: says back what it got."""
    if error := args.text("error"):
        raise SlackError(error)
    return {"args": {name: value for name, value in args.given.items() if name != "token"}}


def auth_test(context: Context, args: Args) -> JSON:
    """auth.test."""
    app, team = context.app, context.state.team
    return {
        "url": f"{context.base_url()}/",
        "team": team["name"],
        "user": context.state.users[app.bot_user_id].name,
        "team_id": team["id"],
        "user_id": app.bot_user_id,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


def open_connection(context: Context, args: Args) -> JSON:
    """apps.connections.open."""
    return {"url": context.open_socket_url()}


def shape(context: Context, user: User) -> JSON:
    """Slack's user object.

    It lacks, for a deactivated account, what only an active one has (slack-web-api-client#25; the
    same eleven fields were measured in brekkylab/backlot#293). For a member of another workspace
    `is_stranger` says whether they share no channel with the app.
    """
    home = context.state.team_of(user.id)
    try:
        zone = ZoneInfo(user.tz)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    now = datetime.now(UTC).astimezone(zone)
    offset = now.utcoffset()
    first, _, last = user.real_name.partition(" ")
    profile: JSON = {
        "title": user.title,
        "phone": "",
        "skype": "",
        "real_name": user.real_name,
        "real_name_normalized": user.real_name,
        "display_name": user.name,
        "display_name_normalized": user.name,
        "first_name": first,
        "last_name": last,
        "fields": None,
        "status_text": "",
        "status_text_canonical": "",
        "status_emoji": "",
        "status_emoji_display_info": [],
        "status_expiration": 0,
        "avatar_hash": "",
        "team": home["id"],
        **{f"image_{size}": "" for size in (24, 32, 48, 72, 192, 512)},
    }
    if "users:read.email" in context.app.scopes and user.email:
        profile["email"] = user.email
    if user.id == context.app.bot_user_id:
        profile |= {"bot_id": context.app.bot_id, "api_app_id": context.app.app_id}
    account: JSON = {
        "id": user.id,
        "team_id": home["id"],
        "name": user.name,
        "deleted": user.deleted,
        "profile": profile,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 1_700_000_000,
    }
    if user.home is not None:
        account["is_stranger"] = not any(
            context.is_member(channel) and user.id in context.state.present(channel)
            for channel in context.state.channels.values()
            if not channel.is_im
        )
    if user.deleted:
        return account
    return {
        **account,
        "color": user.color.removeprefix("#"),
        "real_name": user.real_name,
        "tz": user.tz,
        "tz_label": now.tzname() or user.tz,
        "tz_offset": int(offset.total_seconds()) if offset else 0,
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": user.is_ultra_restricted,
        "is_email_confirmed": not user.is_bot,
        "who_can_share_contact_card": "EVERYONE",
    }


def user_info(context: Context, args: Args) -> JSON:
    """users.info."""
    return {"user": shape(context, context.user(args.required("user")))}


def list_users(context: Context, args: Args) -> JSON:
    """users.list: deactivated people too, but nobody of another workspace."""
    own = [user for user in context.state.users.values() if user.home is None]
    items, more = page([shape(context, user) for user in own], args, 1000)
    return {
        "members": items,
        "cache_ts": int(context.state.clock()),
        "response_metadata": more,
    }


def lookup_by_email(context: Context, args: Args) -> JSON:
    """users.lookupByEmail: does not find deactivated people, as Slack documents."""
    email = args.required("email").lower()
    for user in context.state.users.values():
        if user.email.lower() == email and not user.deleted and user.home is None:
            return {"user": shape(context, user)}
    raise SlackError("users_not_found")


def list_usergroups(context: Context, args: Args) -> JSON:
    """usergroups.list."""
    groups = []
    for group in context.state.usergroups.values():
        entry: JSON = {
            "id": group.id,
            "team_id": context.state.team["id"],
            "is_usergroup": True,
            "name": group.name,
            "description": "",
            "handle": group.handle,
            "is_external": False,
            "date_create": 1_700_000_000,
            "date_update": 1_700_000_000,
            "date_delete": 0,
            "auto_type": None,
            "created_by": "",
            "updated_by": "",
            "prefs": {"channels": [], "groups": []},
        }
        if args.flag("include_users"):
            entry["users"] = list(group.users)
        if args.flag("include_count"):
            entry["user_count"] = len(group.users)
        groups.append(entry)
    return {"usergroups": groups}


def list_usergroup_users(context: Context, args: Args) -> JSON:
    """usergroups.users.list: a deactivated person stays listed.

    Slack documents neither that nor the opposite; groups are kept alive with a deactivated user as
    their only one (app-sre/qontract-reconcile), so an app must expect them there.
    `include_disabled` is about disabled groups, which this workspace does not have.
    """
    group = context.state.usergroups.get(args.required("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


def team_info(context: Context, args: Args) -> JSON:
    """team.info."""
    team = context.state.team
    return {
        "team": {
            "id": team["id"],
            "name": team["name"],
            "domain": team["domain"],
            "url": f"{context.base_url()}/",
            "email_domain": "",
            "icon": {"image_default": True},
        }
    }


def bot_info(context: Context, args: Args) -> JSON:
    """bots.info."""
    app = context.app
    if args.text("bot", app.bot_id) != app.bot_id:
        raise SlackError("bot_not_found")
    return {
        "bot": {
            "id": app.bot_id,
            "deleted": False,
            "name": app.name,
            "updated": 1_700_000_000,
            "app_id": app.app_id,
            "user_id": app.bot_user_id,
            "icons": BOT_ICONS,
        }
    }


_USERS, _GROUPS = ("users:read",), ("usergroups:read",)

METHODS = (
    Method("api.test", api_test, "t4", token="none"),
    Method("auth.test", auth_test, "special"),
    Method("apps.connections.open", open_connection, "t3", ("connections:write",), "app"),
    Method("users.info", user_info, "t4", _USERS),
    Method("users.list", list_users, "t2", _USERS),
    Method("users.lookupByEmail", lookup_by_email, "t3", ("users:read.email",)),
    Method("usergroups.list", list_usergroups, "t2", _GROUPS),
    Method("usergroups.users.list", list_usergroup_users, "t2", _GROUPS),
    Method("team.info", team_info, "t3", ("team:read",)),
    Method("bots.info", bot_info, "t3", _USERS),
)
