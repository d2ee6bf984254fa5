"""The one error shape: a refusal says what was refused, why, and what to do next.

A refusal is an expected answer, not a fault: it changes nothing and is not logged as an error.
`backend.web` turns it into `{code, message, message_zh, legal_basis?, what_to_do?, fields?}`.
"""

from __future__ import annotations


class Refusal(Exception):
    """An anticipated "no". `code` is stable (scripts match on it); texts are for people.

    http: the status the web layer answers with; `fields` maps input field -> Chinese reason.
    """

    def __init__(
        self,
        code: str,
        *,
        message_zh: str,
        message: str = "",
        http: int = 409,
        what_to_do: str | None = None,
        legal_basis: str | None = None,
        fields: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message_zh)
        self.code = code
        self.message_zh = message_zh
        self.message = message or code
        self.http = http
        self.what_to_do = what_to_do
        self.legal_basis = legal_basis
        self.fields = fields

    def as_json(self) -> dict[str, object]:
        """Return the wire shape; optional keys are left out when empty."""
        body: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "message_zh": self.message_zh,
        }
        for key in ("legal_basis", "what_to_do", "fields"):
            value = getattr(self, key)
            if value:
                body[key] = value
        return body


class NotFound(Refusal):
    """The thing does not exist *for this caller*; a foreign id answers the same (design 4.12)."""

    def __init__(self, what_zh: str = "内容") -> None:
        super().__init__(
            "not_found",
            message="not found",
            message_zh=f"没有找到该{what_zh}。",
            http=404,
            what_to_do="请返回列表刷新后重试。",
        )
