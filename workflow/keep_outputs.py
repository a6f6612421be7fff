"""Have DVC leave alone what other parameters made: `python -m workflow.keep_outputs`, at set-up.

`dvc checkout` and `dvc exp run` delete what DVC has recorded once and what dvc.yaml doesn't name
now: with `datasets` changed, all that there is of the others. DVC finds these files in a table of
its own, which serves nothing else. A trigger of the table's database keeps it empty.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from dvc.repo import Repo


def main() -> None:
    with Repo() as repo:
        table = Path(repo.site_cache_dir, "links", "cache.db")  # made by now, if it wasn't there
    with closing(sqlite3.connect(table, timeout=60)) as database, database:
        database.execute("DELETE FROM Cache")
        database.execute(
            "CREATE TRIGGER IF NOT EXISTS keep_outputs BEFORE INSERT ON Cache "
            "BEGIN SELECT RAISE(IGNORE); END"
        )


def forget_hashes() -> None:
    """Has DVC hash all files again, by content.

    It remembers hashes by inode, size and time of change. Of a file that was altered and put back
    with its times it remembers the wrong one, and would record that.
    """
    with Repo() as repo:
        shutil.rmtree(Path(repo.site_cache_dir, "hashes"), ignore_errors=True)


if __name__ == "__main__":
    main()
