"""Pieces of HTML: numbers for people, tables that scroll on a phone, figures with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

NOTHING = "–"

STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #dde2e8; --mark: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7f9; color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 20px 16px 60px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 12px 0 4px; }
h2 { font-size: 1.2rem; margin: 0 0 6px; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; }
section { padding: 18px; margin: 16px 0; }
p { margin: 6px 0 10px; max-width: 76ch; }
.soft { color: var(--soft); }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; }
.numbers div { border-left: 4px solid var(--mark); padding: 4px 10px; background: #f5f7f9; }
.numbers b { display: block; font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.numbers span { font-size: .86rem; color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 18px; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.beside { gap: 4px 18px; align-items: center; }
.beside ul { margin: 4px 0; padding-left: 1.2em; }
figure { margin: 0; min-width: 0; max-width: 620px; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { font-size: .9rem; color: var(--soft); }
.scroll { overflow-x: auto; margin: 8px 0; background:
  linear-gradient(to left, #fff 14px, #fff0) right / 60px 100% no-repeat local,
  linear-gradient(to left, #1c243033, #1c243000) right / 14px 100% no-repeat scroll; }
table { border-collapse: separate; border-spacing: 0; min-width: 60%; }
table { font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 8px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
thead th { white-space: normal; min-width: 5.5em; color: var(--soft); font-weight: 600; }
thead th { border-bottom-width: 2px; vertical-align: bottom; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 12px; }
.pairs img { width: 48%; aspect-ratio: 1; object-fit: cover; border-radius: 6px; }
.pairs div { font-size: .84rem; color: var(--soft); overflow-wrap: anywhere; }
li { margin: 4px 0; max-width: 76ch; }
@media (max-width: 520px) {
  body { font-size: 15px; }
  section { padding: 14px 12px; border-radius: 8px; }
  th, td { padding: 5px 7px; }
  td:first-child { white-space: normal; min-width: 7em; max-width: 9.5em; }
}
"""


def document(title: str, body: str) -> str:
    """One whole page; nothing in it is fetched from anywhere."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A card with a heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def words(text: str, *, soft: bool = False) -> str:
    """A paragraph."""
    return f"<p{' class=soft' if soft else ''}>{_flowing(text)}</p>"


def _flowing(text: str) -> str:
    """Text that may break into lines, but not between a number and its sign."""
    return escape(text).replace(" %", "&nbsp;%")


def points(texts: Sequence[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{_flowing(text)}</li>" for text in texts) + "</ul>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways where the screen is narrow; its first column stays."""
    head = "".join(f"<th>{_flowing(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def headline(numbers: Sequence[tuple[str, str]]) -> str:
    """Large numbers with what they are below."""
    cells = (f"<div><b>{escape(value)}</b><span>{_flowing(name)}</span></div>" for name, value in numbers)
    return f'<div class="numbers">{"".join(cells)}</div>'


def figures(*drawn: tuple[str, str]) -> str:
    """(SVG, caption) side by side where there is room."""
    cells = (f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for svg, caption in drawn)
    return f'<div class="figures">{"".join(cells)}</div>'


def beside(*parts: str) -> str:
    """Parts side by side where there is room, else below each other."""
    return '<div class="beside">' + "".join(f"<div>{part}</div>" for part in parts) + "</div>"


def percent(share: float | None) -> str:
    """Two decimals, more for small shares: 99.81 %, 0.412 %, 0.0077 %; 0 % only for none at all."""
    if share is None:
        return NOTHING
    value = 100 * share
    if value < 1e-9 or value >= 100:
        return f"{value:.0f} %"
    digits = 2 if value >= 1 else 3 if value >= 0.1 else 4
    return f"{value:.{digits}f} %" if value >= 0.0001 else "< 0.0001 %"


def between(interval: Sequence[float] | None) -> str:
    """A 95 % interval."""
    return NOTHING if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def number(value: float | None) -> str:
    """Four decimals, a whole number as it is."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
