from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.formats import text
from audotics.data.formats.delimited import Dialect, read_delimited, sniff_dialect
from audotics.data.formats.protocol import LINE
from audotics.errors import BadInputError

COMMAS = Dialect(",", ("id", "title", "n"))
TABS = Dialect("\t", ("id", "title", "n"))


def _read(
    path: Path, content: str | bytes, dialect: Dialect | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    chunks = list(read_delimited(path, dialect or sniff_dialect(path)))
    return pl.concat([chunk.rows for chunk in chunks]), pl.concat([chunk.rejected for chunk in chunks])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


@pytest.mark.parametrize("mark", ["\t", ",", ";", "|"])
def test_the_separator_is_found(path: Path, mark: str) -> None:
    rows, rejected = _read(path, f"user_id{mark}track_id{mark}plays\n1{mark}a{mark}3\n2{mark}b{mark}4\n")
    assert rows.rows() == [(2, "1", "a", "3"), (3, "2", "b", "4")]
    assert rows.columns == [LINE, "user_id", "track_id", "plays"]
    assert rejected.is_empty()


def test_separators_inside_titles_do_not_confuse(path: Path) -> None:
    path.write_text("id\ttitle\n1\tHello, Goodbye; a, b, c\n2\tOne, two\n")
    assert sniff_dialect(path).separator == "\t"


def test_a_quoted_header_is_unquoted(path: Path) -> None:
    path.write_text('"user_id","track_id"\n"1","a"\n')
    assert sniff_dialect(path).columns == ("user_id", "track_id")


def test_a_single_column_is_a_table_too(path: Path) -> None:
    rows, rejected = _read(path, "track_id\na\nb\n")
    assert rows["track_id"].to_list() == ["a", "b"]
    assert rejected.is_empty()


def test_an_empty_file_has_no_header(path: Path) -> None:
    for content in (b"", b"\n\n", b"\xef\xbb\xbf"):
        path.write_bytes(content)
        with pytest.raises(BadInputError, match="the file is empty"):
            sniff_dialect(path)


def test_lines_with_another_number_of_columns_are_rejected(path: Path) -> None:
    rows, rejected = _read(path, "id,title,n\n1,a,2\n2,b\n3,c,4,5\n\n4,,\n", COMMAS)
    assert rows.rows() == [(2, "1", "a", "2"), (6, "4", "", "")]
    assert rejected.select("file", "line", "value", "reason").rows() == [
        ("table.csv", 3, "2,b", "line has 2 columns, the file has 3"),
        ("table.csv", 4, "3,c,4,5", "line has 4 columns, the file has 3"),
    ]


def test_rules_of_quoting(path: Path) -> None:
    rows, rejected = _read(path, 'id,title,n\n1,"a, ""b"" c",2\n"2","","3"\n', COMMAS)
    assert rows.fill_null("").rows() == [(2, "1", 'a, "b" c', "2"), (3, "2", "", "3")]
    assert rejected.is_empty()


@pytest.mark.parametrize("title", ['12" mix', '"Heroes', 'Heroes"', '"Heroes" (live)', '"', 'a "b" c'])
@pytest.mark.parametrize("dialect", [COMMAS, TABS])
def test_stray_quotes_belong_to_the_title(path: Path, title: str, dialect: Dialect) -> None:
    mark = dialect.separator
    header = mark.join(dialect.columns)
    rows, rejected = _read(path, f"{header}\n1{mark}{title}{mark}2\n3{mark}b{mark}4\n", dialect)
    assert rows["title"].to_list() == [title, "b"]
    assert rejected.is_empty()


def test_a_dialect_without_quotes_keeps_them(path: Path) -> None:
    plain = Dialect("\t", ("id", "title"), has_header=False, quoted=False)
    rows, _ = _read(path, '1\t"Heroes"\n', plain)
    assert rows["title"].to_list() == ['"Heroes"']


def test_records_over_several_lines(path: Path) -> None:
    rows, rejected = _read(path, 'id,title,n\n1,"two\nlines",2\n2,b,3\n3,"x\r\ny\r\nz",4\n', COMMAS)
    assert rows.rows() == [(2, "1", "two\nlines", "2"), (4, "2", "b", "3"), (5, "3", "x\ny\nz", "4")]
    assert rejected.is_empty()


def test_a_quote_that_never_closes_costs_one_line_at_most(path: Path) -> None:
    lines = "".join(f"{n},t{n},1\n" for n in range(200))
    rows, rejected = _read(path, f'id,title,n\nx,"open\n{lines}', COMMAS)
    assert rows.height == 200
    assert rejected["line"].to_list() == [2]


def test_mixed_encodings_in_one_line(path: Path) -> None:
    rows, _ = _read(path, b"id,title,n\n1,Bj\xf6rk \xc3\xa9,1\n", COMMAS)
    assert rows["title"].to_list() == ["Björk é"]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    table=st.lists(st.tuples(cells, cells, cells), max_size=20),
    size=st.integers(20, 300),
    mark=st.sampled_from([",", ";"]),
)
def test_what_a_proper_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str, str]], size: int, mark: str
) -> None:
    """Whatever stands in the cells and wherever a block ends."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=mark, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "title", "n"), *table])
    # Blank lines inside quotes are the one thing that is not kept.
    expected = [row for row in table if not any("\n" in cell for cell in row)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", size)
        path = tmp_path_factory.mktemp("csv") / "table.csv"
        rows, rejected = _read(path, buffer.getvalue(), Dialect(mark, ("id", "title", "n")))
    found = rows.drop(LINE).fill_null("").rows()
    assert [row for row in found if not any("\n" in cell for cell in row)] == expected
    assert rows.height + rejected.height == len(table)


@given(st.lists(st.text(st.sampled_from('a",\t \u00e9'), min_size=1, max_size=12), max_size=30))
def test_every_line_ends_in_one_place(tmp_path_factory: pytest.TempPathFactory, content: list[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "table.tsv"
    rows, rejected = _read(path, "\n".join(["id\ttitle\tn", *content]), TABS)
    n_lines = sum(bool(line.strip(" ")) for line in content)
    assert rows.height + rejected.height == n_lines
    assert set(rows[LINE]).isdisjoint(rejected["line"])
