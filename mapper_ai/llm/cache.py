"""Answers by the content of their question, in a DuckDB file: the same question is not paid for twice."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from mapper_ai.llm.budget import Usage


class Cache:
    """Answers that were right once. Without a file, or when another process holds it, nothing is kept.

    Attributes:
        problem: Why nothing is kept (any more), in one line; "" when all is well.
    """

    def __init__(self, path: str) -> None:
        self.problem = ""
        self._lock = threading.Lock()
        self._path = path
        self._base: Any = None
        if not path:
            return
        try:
            import duckdb
        except ImportError:
            self.problem = "answers are not kept: DuckDB is not installed"
            return
        self._error = duckdb.Error
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._base = duckdb.connect(path)
            self._base.execute(
                "create table if not exists answer"
                " (key text primary key, text text not null, tokens_in integer, tokens_out integer)"
            )
        except (duckdb.Error, OSError) as error:
            self._give_up(error)

    def find(self, key: str) -> tuple[str, Usage] | None:
        """A kept answer, and what it cost then."""
        row = self._run("select text, tokens_in, tokens_out from answer where key = ?", key)
        return None if row is None else (str(row[0]), Usage(int(row[1]), int(row[2])))

    def keep(self, key: str, text: str, usage: Usage) -> None:
        """Keep an answer that held."""
        self._run("insert or replace into answer values (?, ?, ?, ?)", key, text, usage.tokens_in, usage.tokens_out)

    def _run(self, statement: str, *values: object) -> Any:
        """The first row; None without a file. A file that cannot be used any more costs the cache only."""
        with self._lock:
            if self._base is None:
                return None
            try:
                return self._base.execute(statement, values).fetchone()
            except (self._error, OSError) as error:
                self._base.close()
                self._give_up(error)
                return None

    def _give_up(self, error: Exception) -> None:
        self._base = None
        self.problem = f"answers are not kept: {self._path}: {str(error).splitlines()[0][:120]}"

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._base is not None:
                self._base.close()
                self._base = None
