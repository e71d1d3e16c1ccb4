"""Settings of environments: where each is, who decides there, its freezes, warnings and rotation."""

import datetime
import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from bot.patterns import ChannelId, GroupId, Name, UserId
from deploy.rules import BINDING, DENIED_IN_PRODUCTION, RULE_IDS, Severity


class Section(BaseModel):
    """A part of the settings: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _iso_day(value: Any) -> Any:
    """A day as YAML or text gives it; pydantic alone would take a number for seconds since 1970."""
    if isinstance(value, str) or type(value) is datetime.date:
        return value
    raise ValueError("expected a day such as 2027-03-31")


def _known_rule(value: str) -> str:
    if value not in RULE_IDS:
        near = difflib.get_close_matches(value, RULE_IDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "docs/rules.md lists them"
        raise ValueError(f"there is no rule “{value[:80]}”; {hint}")
    return value


RuleId = Annotated[str, AfterValidator(_known_rule)]


class ExemptionSettings(Section):
    """A finding that somebody agreed to live with, until the end of a day (UTC)."""

    rule: RuleId
    reason: str = Field(min_length=1, max_length=200)
    until: Annotated[datetime.date, BeforeValidator(_iso_day)]


class PeopleSettings(Section):
    """Some people: Slack user ids, and ids of user groups."""

    users: tuple[UserId, ...] = ()
    groups: tuple[GroupId, ...] = ()

    @model_validator(mode="after")
    def _somebody(self) -> "PeopleSettings":
        if not self.users and not self.groups:
            raise ValueError("name at least one user or group")
        return self


class ApprovalSettings(Section):
    """The people who approve changes, how many of them it takes, and within how many seconds."""

    approvers: PeopleSettings
    quorum: int = Field(default=1, ge=1, le=10)
    seconds: int | None = Field(default=None, ge=60, le=7 * 86400)

    @model_validator(mode="after")
    def _can_be_reached(self) -> "ApprovalSettings":
        people = self.approvers
        if not people.groups and len(set(people.users)) < self.quorum:
            raise ValueError("fewer approvers are named than the quorum requires")
        return self


class FreezeSettings(Section):
    """A time in which nothing is to change; moments carry their time zone."""

    reason: str = Field(min_length=1, max_length=200)
    starts: AwareDatetime
    ends: AwareDatetime

    @model_validator(mode="after")
    def _in_order(self) -> "FreezeSettings":
        if self.ends <= self.starts:
            raise ValueError("a freeze must end after it starts")
        return self


_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: Any) -> Any:
    """A length of time such as 14d, 6h or 30m, in seconds."""
    if isinstance(value, str) and (found := re.fullmatch(r"([1-9][0-9]{0,3})([mhd])", value)):
        return int(found[1]) * _UNITS[found[2]]
    raise ValueError("expected a duration such as 14d, 6h or 30m")


Seconds = Annotated[float, BeforeValidator(_seconds)]


class WarningSettings(Section):
    """Where reports are posted of gateways that get worse or better; nowhere without a channel.

    Tokens that expire are reported in `channels`, where there are none in `channel` too.
    """

    channel: ChannelId | None = None
    channels: tuple[ChannelId, ...] = ()
    thresholds: tuple[Seconds, ...] | None = Field(default=None, max_length=12)
    """How long before a token expires people are warned; that it has expired they hear anyway."""

    @property
    def places(self) -> tuple[str, ...]:
        """Every channel that is warned of tokens."""
        return self.channels or ((self.channel,) if self.channel else ())


Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class DigestSettings(Section):
    """When each channel hears once a week how the tokens are; the hour is in UTC."""

    day: Day = "monday"
    hour: int = Field(default=8, ge=0, le=23)


class AllWarningSettings(WarningSettings):
    """What holds where an environment has no settings of its own."""

    digest: DigestSettings | None = DigestSettings()


def _mode(value: Any) -> Any:
    """`rotation: auto` for `rotation: {mode: auto}`; YAML reads a bare off as false."""
    if value is False or isinstance(value, str):
        value = {"mode": value}
    if isinstance(value, dict) and value.get("mode") is False:
        value = {**value, "mode": "off"}
    return value


class AutomaticSettings(Section):
    """How tokens of an environment are rotated automatically.

    `standing_approval` is the text that says who approved, once and for all, that it happens.
    """

    mode: Literal["auto", "ask", "off"] = "off"
    before: Seconds = 7 * 86400.0
    at_once: int | None = Field(default=None, ge=1, le=50)
    failures: int = Field(default=2, ge=1, le=20)
    standing_approval: str = Field(default="", max_length=200)

    @field_validator("before")
    @classmethod
    def _before_it_expires(cls, value: float) -> float:
        if not 3600 <= value <= 25 * 86400:
            raise ValueError("between 1h and 25d before the expiry")
        return value


class EnvironmentSettings(Section):
    """Which clusters and namespaces form an environment; the first that matches holds."""

    name: Name
    clusters: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    production: bool = False
    exemptions: tuple[ExemptionSettings, ...] = ()
    rules: dict[RuleId, Severity] = {}
    requesters: PeopleSettings | None = None
    channels: tuple[ChannelId, ...] = ()
    approval: ApprovalSettings | None = None
    freezes: tuple[FreezeSettings, ...] = ()
    windows: bool | None = None
    warnings: WarningSettings | None = None
    rotation: Annotated[AutomaticSettings, BeforeValidator(_mode)] = AutomaticSettings()

    @property
    def allows_windows(self) -> bool:
        """Whether approvers may open approval windows here; by default where one approval is
        enough."""
        several = self.approval is not None and self.approval.quorum > 1
        return not several if self.windows is None else self.windows

    @model_validator(mode="after")
    def _a_window_stands_in_for_one_approval(self) -> "EnvironmentSettings":
        if self.windows and self.approval is not None and self.approval.quorum > 1:
            raise ValueError(
                "windows: true requires approval.quorum 1, because one approver opens an "
                "approval window"
            )
        return self

    @model_validator(mode="after")
    def _somebody_decides_on_rotations(self) -> "EnvironmentSettings":
        rotation = self.rotation
        if rotation.mode == "auto" and self.production and not rotation.standing_approval:
            raise ValueError(
                "rotation: auto in production requires standing_approval, a text that records "
                "who approved it"
            )
        if rotation.mode == "ask" and self.approval is None and self.requesters is None:
            raise ValueError(
                "rotation: ask requires approval or requesters, so that there is somebody to ask"
            )
        return self

    @model_validator(mode="after")
    def _what_production_denies_is_exempted(self) -> "EnvironmentSettings":
        milder = sorted(
            rule
            for rule, severity in self.rules.items()
            if self.production and severity != "deny" and rule in DENIED_IN_PRODUCTION
        )
        if milder:
            raise ValueError(
                f"the rule {milder[0]} denies in production; exempt it, with a reason and a day"
            )
        return self

    @model_validator(mode="after")
    def _what_guards_a_token_counts_everywhere(self) -> "EnvironmentSettings":
        milder = {rule for rule, severity in self.rules.items() if severity != "deny"}
        waived = sorted((milder | {each.rule for each in self.exemptions}) & BINDING)
        if waived:
            raise ValueError(
                f"the rule {waived[0]} guards a token that other environments may govern too: it can "
                "neither be exempted nor made milder; apim[].endpoints and images.repositories list "
                "what it allows"
            )
        return self

    @model_validator(mode="after")
    def _one_exemption_a_rule(self) -> "EnvironmentSettings":
        rules = [exemption.rule for exemption in self.exemptions]
        twice = sorted({rule for rule in rules if rules.count(rule) > 1})
        if twice:
            raise ValueError(f"the rule {twice[0]} is exempted twice")
        return self
