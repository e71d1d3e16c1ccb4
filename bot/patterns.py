"""What text in the settings looks like, and how each kind is called where it is expected."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

USER = r"^[UW][A-Z0-9]{2,20}$"
GROUP = r"^S[A-Z0-9]{2,20}$"
CHANNEL = r"^[CG][A-Z0-9]{2,20}$"
NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
HTTP_URL = r"^https?://[^\s/]+(/\S*)?$"
HOST = r"^(https://)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$"
REPOSITORY = r"^[^\s:@/]+(:[0-9]{1,5})?(/[^\s:@/]+)+$"
COMMAND = r"^/[a-z0-9_-]{1,31}$"
PATH = r"^/\S*$"
EVENT_PATH = r"^/[A-Za-z0-9/_-]{1,100}$"
SCOPE = r"^[A-Za-z0-9:/._-]{1,200}/\.default$"
SERVICE = r"^[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?$"

UserId = Annotated[str, Field(pattern=USER)]
GroupId = Annotated[str, Field(pattern=GROUP)]
ChannelId = Annotated[str, Field(pattern=CHANNEL)]
Name = Annotated[str, Field(pattern=NAME, max_length=63)]
HttpUrl = Annotated[str, Field(pattern=HTTP_URL)]
Host = Annotated[str, Field(pattern=HOST, max_length=270)]
Repository = Annotated[str, Field(pattern=REPOSITORY, max_length=300)]

EXPECTED: Mapping[str, str] = {
    USER: "the ID of a person, such as U0123ABCD; Slack shows it in the menu of their profile",
    GROUP: "the ID of a user group, such as S0123ABCD",
    CHANNEL: "the ID of a channel, such as C0123ABCD; Slack shows it at the end of its details",
    NAME: "lower-case letters, digits and hyphens",
    HTTP_URL: "an address with http:// or https://",
    HOST: "a host name, without a path",
    REPOSITORY: "a registry and a repository without a tag, such as registry.example/gateway",
    COMMAND: "a command such as /gateway",
    PATH: "a path that begins with /",
    EVENT_PATH: "a path that begins with /",
    SCOPE: "a scope that ends with /.default",
    SERVICE: "the name of an API Management service, without a domain",
}
"""What each pattern asks for."""
