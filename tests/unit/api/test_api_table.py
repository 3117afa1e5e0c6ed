import runpy
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]


def test_the_table_in_the_docs_is_that_of_the_routes() -> None:
    table = runpy.run_path(str(TREE / "scripts" / "api-table"))["table"]
    assert (TREE / "docs" / "api.md").read_text() == table(), "run ./dev docs"
