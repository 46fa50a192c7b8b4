"""What the steps of one plan share: the account, and what earlier steps have made for later ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from transparent_mp.launch.clients import Clients


@dataclass
class Made:
    """Filled while a plan is made, with words for what is yet to come, and while it is carried out."""

    clients: Clients
    #: ARN of the role that the function is to have.
    role: str = ""
    #: ARN of our layer's version; '' for none.
    layer: str = ""
    _identity: dict[str, str] = field(default_factory=dict)

    @property
    def region(self) -> str:
        return self.clients.region

    @property
    def account(self) -> str:
        return self._who()["Account"]

    @property
    def partition(self) -> str:
        """aws, or that of a region that stands apart (aws-cn, aws-us-gov)."""
        return self._who()["Arn"].split(":")[1]

    @property
    def registry(self) -> str:
        """The host of the account's own container images."""
        suffix = ".cn" if self.partition == "aws-cn" else ""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com{suffix}"

    def _who(self) -> dict[str, str]:
        if not self._identity:
            self._identity = self.clients("sts").get_caller_identity()
        return self._identity
