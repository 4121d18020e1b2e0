"""The state machine of ``test_state_machine``, with a state that is thrown away at random and read back from its rows."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis.stateful import precondition, rule

from c2dkit.hub._store_changes import hub_born, statements_of
from c2dkit.hub._store_load import load
from c2dkit.hub._store_schema import check_database, create_tables
from tests.unit.hub.test_state_machine import DONE, SETTINGS, Lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from c2dkit.hub._changes import Change
    from c2dkit.hub._state import HubState
    from c2dkit.hub._store_schema import Statement


class Restarted(Lifecycle):
    """All that is written between two calls is on the disk; locks and what was handed out are gone."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        create_tables(self.database)
        self.write(hub_born([], (b"", b""), timedelta(0)))
        super().__init__()

    def new_state(self) -> HubState:
        state = super().new_state()
        state.subscribe(self.on_change)
        return state

    def on_change(self, change: Change) -> None:
        self.write(statements_of(change))

    def write(self, statements: Iterable[Statement]) -> None:
        for sql, values in statements:
            self.database.execute(sql, values)

    @rule()
    def restart(self) -> None:
        if self.lock_expiry_counts:
            self.state.tick()  # a lock that ended while no hub ran has not been counted
        check_database(self.database)
        saved = load(self.database)
        self.announced.clear()
        self.state = self.new_state()
        self.state.restore(saved.state)
        for sent in self.locked():
            self.forget_lock(sent)
            sent.put_back(self.now, counted=False)
        self.batches.clear()
        DONE["restarts"] += 1

    @precondition(lambda self: self.locked())
    @rule()
    def restart_with_locks(self) -> None:
        """The same, more often than chance has it where something is held."""
        self.restart()

    def teardown(self) -> None:
        self.restart()
        super().teardown()
        assert not self.database.execute("SELECT * FROM entry").fetchall()
        assert not self.database.execute("SELECT * FROM delivery").fetchall()
        assert not self.database.execute("SELECT * FROM record").fetchall()
        self.database.close()


class RestartedOf2018(Restarted):
    """The same where the end of a lock counts."""

    lock_expiry_counts = True


TestRestarted = Restarted.TestCase
TestRestarted.settings = SETTINGS
TestRestartedOf2018 = RestartedOf2018.TestCase
TestRestartedOf2018.settings = SETTINGS
