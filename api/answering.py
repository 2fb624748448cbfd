"""The two ways of a link in a notice: GET shows what is asked and decides nothing, POST with the token is the person's answer.

Invariants: link scanners may fetch what they like, a GET writes nothing; the page runs no script, loads nothing, tells no other
site where it came from, and is kept by nobody; whatever is wrong is one sentence. The answer is `governance.links`' part.
"""

import asyncio
from dataclasses import dataclass
from html import escape
from typing import Final, cast
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.errors import BadRequestError
from api.graphql.codes import ErrorCode, code_of, shown
from api.platform import Noesis
from api.reports.page import STYLE
from api.threads import Threads
from coordination.telling import told
from governance import links
from governance.approvals import COMMENT_MAX, Answer
from governance.links import Keys
from kg.reader import Reader

#: Bytes of a form, and fields of it.
FORM_MAX: Final = 4 * COMMENT_MAX + 8_000
FIELDS_MAX: Final = 10
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Not `no-referrer`: with that a browser sends the form with `Origin: null`, which the guards refuse.
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin", "X-Robots-Tag": "noindex"}
_STATUS: Final = {ErrorCode.INTERNAL: 500, ErrorCode.FORBIDDEN: 403}


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """Handles both ways for one platform."""

    platform: Noesis
    threads: Threads
    keys: Keys

    async def handle(self, request: Request) -> Response:
        """The page of a GET, or what became of a POST."""
        try:
            if request.method == "POST":
                return _page(await self.threads.run(self.answer, await self._form(request)))
            return _page(await self.threads.run(self.show, request.query_params.get("token", "")))
        except Exception as error:
            _, message = shown(error, self.platform.clock)
            return _page(f"<h1>Nothing was decided</h1><p>{escape(message)}</p>", _STATUS.get(code_of(error), 400))

    def show(self, token: str) -> str:
        """What is asked, as the person may see it, with two buttons."""
        platform = self.platform
        link, decision, person = links.asked(platform.store, platform.clock, self.keys, token)
        reader = Reader(platform.store, platform.view(person))
        seen = reader.get([decision.id]).get(decision.id)
        lines = told(reader, seen) if seen is not None else []
        asked = seen.get("reason") if seen is not None else None
        body = "".join(f"<p>{escape(line)}</p>" for line in [*lines, *([f"Asked: {asked}"] if asked else [])])
        return (
            f"<h1>{escape(person.id)}, your answer is asked for</h1>{body or '<p>You may not see what is asked.</p>'}"
            f'<form method="post"><input type="hidden" name="token" value="{escape(token)}">'
            f'<p><label>Why, for the record<br><textarea name="comment" rows="3" cols="60" maxlength="{COMMENT_MAX}">'
            "</textarea></label></p>"
            '<p><button name="answer" value="approve">Approve</button> '
            '<button name="answer" value="reject">Reject</button></p></form>'
            f"<p class=quiet>Decision {escape(link.decision)}. Nothing is decided until you press a button.</p>"
        )

    def answer(self, form: dict[str, str]) -> str:
        """Commit the answer of a form."""
        if form.get("answer") not in ("approve", "reject"):
            raise BadRequestError("an answer is approve or reject; press one of the two buttons")
        platform, verdict = self.platform, cast(Answer, form["answer"])
        token, comment = form.get("token", ""), form.get("comment", "")
        done = links.answer(platform.store, platform.clock, platform.rules(), self.keys, token, verdict, comment)
        rest = "" if done.met or verdict == "reject" else "<p>Others still have to answer.</p>"
        return f"<h1>Your answer ({verdict}) is on record</h1><p>{escape(done.approval)}</p>{rest}"

    async def _form(self, request: Request) -> dict[str, str]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise BadRequestError("an answer is sent as a form; open the link and press a button")
        body = bytearray()
        async with asyncio.timeout(self.platform.settings.request_seconds_max):
            async for part in request.stream():
                body += part
                if len(body) > FORM_MAX:
                    raise BadRequestError(f"the answer has more than {FORM_MAX:,} bytes; shorten the comment")
        try:
            found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError:
            raise BadRequestError("the answer is no form; open the link and press a button") from None
        if any(len(values) > 1 for values in found.values()):
            raise BadRequestError("the answer says something twice; open the link and press one button")
        return {name: values[0] for name, values in found.items()}


def _page(body: str, status: int = 200) -> Response:
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Noesis</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )
    return HTMLResponse(text, status, headers=dict(_HEADERS))
