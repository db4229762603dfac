"""A mirror in memory whose documents can be listed, as Firestore's can."""

from __future__ import annotations

import json

from forwardtrader.live.output.state_store import Body, MemoryMirror


class ListedMemory(MemoryMirror):
    """Documents as Firestore gives them back: with token and sequence number, and in whatever order of their fields."""

    def get(self, name: str) -> Body | None:
        event = self.documents.get(name)
        if event is None:
            return None
        body = json.loads(json.dumps(event.body, sort_keys=True))
        return {"token": event.token, "seq": event.seq, **dict(reversed(body.items()))}

    def below(self, name: str) -> dict[str, Body]:
        return {each: self.get(each) or {} for each in self.documents if each.startswith(f"{name}/")}

    def delete(self, names: list[str]) -> None:
        for name in names:
            self.documents.pop(name, None)
