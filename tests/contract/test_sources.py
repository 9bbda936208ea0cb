"""Every source that the code names can be looked up.

A source is a section of docs/method.md, a page of docs/, a decision, or a paper: with its arXiv
number, or with venue and year where it has none. And what docs/method.md names in the code exists.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METHOD = ROOT / "docs" / "method.md"
FILES = sorted((ROOT / "src").rglob("*.py"))
CITING = FILES + sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "benchmarks").glob("*.py"))

PAPERS: dict[str, str] = {
    "Cai et al., ICCV 2019": "1904.00523",
    "Cha et al., NeurIPS 2021": "2102.08604",
    "Chen et al., CVPR 2019": "1904.03378",
    "Cheng et al., ICML 2020": "2006.12013",
    "Federici et al., ICLR 2020": "2002.07017",
    "Foi et al., IEEE TIP 2008": "",
    "Ganin et al., JMLR 2016": "1505.07818",
    "Gortler et al., SIGGRAPH 1996": "",
    "Huang et al., CVPR 2015": "",
    "Hui et al., ACM MM 2019": "1909.11856",
    "Jolicoeur-Martineau, ICLR 2019": "1807.00734",
    "Kim et al., ICCV 2021": "2006.12000",
    "Kong et al., CVPR 2022": "2112.12089",
    "Kong et al., CVPRW 2022": "2205.07514",
    "Krueger et al., ICML 2021": "2003.00688",
    "Li et al., ICML 2018": "1802.01483",
    "Liu et al., ECCVW 2020": "2009.11551",
    "Lu et al., CVPRW 2022": "2108.11084",
    "MacKay, Neural Computation 1992": "",
    "Shen et al., CVPR 2022": "2203.16172",
    "Sun et al., NeurIPS 2022": "2205.15175",
    "Tarvainen and Valpola, NeurIPS 2017": "1703.01780",
    "Wan et al., CVPRW 2024": "2311.12770",
    "Wang et al., CVPR 2023": "2304.10244",
    "Wang et al., CVPR 2024": "2402.18929",
    "Wang et al., ICCVW 2021": "2107.10833",
    "Wang et al., IEEE TIP 2004": "",
    "Wei et al., ECCV 2020": "2008.01928",
    "Wortsman et al., CVPR 2022": "2109.01903",
    "Xu et al., ICLR 2020": "2002.10689",
    "Zhang et al., CVPR 2018": "1801.03924",
    "Zhang et al., IEEE TIP 2017": "1608.03981",
    "Zhang et al., ICCV 2019": "1905.08094",
    "Zhang et al., ICCV 2021": "2103.14006",
    "Zhu et al., TCSVT 2024": "",
    "Zhu, Chen, Liu, IEEE TCSVT 2024": "",
}
"""Authors, venue and year, as cited; arXiv number, where there is one."""

AUTHORS = re.compile(r"[A-Z]\w+ et al\.|Tarvainen and Valpola|Zhu, Chen, Liu")
CODE = re.compile(r"`([\w/]+\.py)::([\w.]+)`")


def flat(path: Path) -> str:
    """The text with its line breaks, and comment and string marks at them, as single spaces."""
    return re.sub(r'"?\s*\n\s*(?:# ?|")?', " ", path.read_text(encoding="utf-8"))


@cache
def sections() -> dict[str, str]:
    """Text of each numbered section of docs/method.md."""
    parts = re.split(r"^## (\d+)\. .*$", METHOD.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def definitions(path: Path) -> set[str]:
    """Functions, classes, methods and module variables of a file, methods as `Class.name`."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef():
                    found.add(prefix + node.name)
                case ast.ClassDef():
                    found.add(prefix + node.name)
                    visit(node.body, f"{prefix}{node.name}.")
                case ast.Assign():
                    targets = [target for target in node.targets if isinstance(target, ast.Name)]
                    found.update(prefix + target.id for target in targets)
                case ast.AnnAssign(target=ast.Name()):
                    found.add(prefix + node.target.id)

    visit(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def test_pages_sections_and_decisions_that_the_code_names_exist() -> None:
    pages = decisions = 0
    for path in CITING:
        text = flat(path)
        for page in re.findall(r"docs/[\w/-]+\.md", text):
            assert (ROOT / page).is_file(), f"{path}: {page}"
            pages += 1
        for number in re.findall(r"docs/method\.md(?:'s)?,? (?:and |section )*(\d+)", text):
            assert number in sections(), f"{path}: docs/method.md {number}"
        for number in re.findall(r"decisions/(\d{4})", text):
            assert list((ROOT / "docs" / "decisions").glob(f"{number}-*.md")), f"{path}: {number}"
            decisions += 1
        assert not re.search(r"\bMETHOD(?:\.md)? \d", text), f"{path}: cite docs/method.md"
    assert pages and decisions


def test_every_paper_is_cited_in_full_where_it_is_first_named() -> None:
    cited: set[str] = set()
    for path in (*FILES, METHOD):
        text = flat(path)
        for match in AUTHORS.finditer(text):
            known = [paper for paper in PAPERS if text.startswith(paper, match.start())]
            assert known, f"{path}: {text[match.start() : match.start() + 60]}"
            number = PAPERS[known[0]]
            full = f"{known[0]}, arXiv:{number}"
            assert not number or full in text, f"{path}: {full}"
            cited.add(known[0])
        for number in re.findall(r"arXiv:(\S*\d)", text):
            assert number in PAPERS.values(), f"{path}: {number}"
    assert cited


def test_a_source_is_a_paper_or_a_section_or_published_code() -> None:
    tried = 0
    for path in FILES:
        text = flat(path)
        for match in re.finditer(r"(?<!\w)Sources?: (?!PatchSource|Path\b)", text):
            cited = text[match.end() :].split('"""')[0][:200]
            resolvable = re.match(r"docs/method\.md \d|github\.com/\w", cited) or any(
                cited.startswith(paper) for paper in PAPERS
            )
            assert resolvable, f"{path}: {cited}"
            tried += 1
    assert tried


@pytest.mark.parametrize("number", sections())
def test_each_section_of_the_method_names_code_and_tests_that_exist(number: str) -> None:
    homes = CODE.findall(sections()[number])
    tests = [home for home in homes if home[0].startswith("tests/")]
    assert tests and len(tests) < len(homes)
    for file, name in homes:
        path = ROOT / file if file.startswith("tests/") else ROOT / "src" / "ibsd" / file
        assert name in definitions(path), f"{file}::{name}"


def test_the_sections_are_numbered_in_order() -> None:
    assert list(sections()) == [str(k + 1) for k in range(len(sections()))]
    assert len(METHOD.read_text(encoding="utf-8").split()) <= 1800
