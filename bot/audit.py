"""`gateway-bot audit verify`: find whatever was changed in the audit trail."""

from pathlib import Path

from bot.clients import audit_key, redis_url
from bot.settings import load_secrets, load_settings
from deploy.actions import connection
from deploy.actions.audit import AuditLog, faults, read_lines
from deploy.errors import InvalidInput


def verify(config: Path, lines: Path | None) -> int:
    """Check the chain in Redis, or the one that was written to standard output and kept.

    Prints what is wrong, an entry a line; 0 when nothing is. Lines older than the retention may be
    missing from the front of a file: its first entry is taken as the start.
    """
    settings = load_settings(config)
    secrets = load_secrets(settings)
    key = audit_key(secrets)
    if lines is None:
        log = AuditLog(connection.connect(redis_url(settings, secrets)), key=key)
        count, found = log.verify()
    else:
        chain = read_lines(_text(lines).splitlines())
        count, found = len(chain), list(faults(chain, start=None, key=key))
    for fault in found:
        print(f"CHANGED  {fault}")
    print(f"{count} entries, {len(found) or 'nothing'} wrong")
    return 1 if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read.", remedy=("Pass another file with --file.")
        ) from error
