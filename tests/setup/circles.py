#!/usr/bin/env python3
"""Prints circles of imports between source files, and imports in a direction that is not allowed.

A parent may import its own child file. What a parent re-exports is its child's: both ways to name it are the same import.
"""
import re, sys
from pathlib import Path

CRATES = ["iam-session/src", "pam_iam/src"]
# What the folders on the left never import, for they follow processes. agent.rs starts what mint.rs is the entrance of.
FORBIDDEN = [("mint runtime store issuer host", r"(agent|commands|admin)\b"), ("issuer", r"store\b"),
             ("runtime", r"mint\b"), ("agent", r"mint::(?!job\b)")]
ONLY_TESTS = {"tests", "fuzzing", "vectors", "scratch"}

def paths(tree):
    """a::{b, c as d, e::{f}} is a::b, a::c and a::e::f."""
    head, brace, rest = tree.partition("{")
    parts = re.findall(r"(?:[^,{]|\{(?:[^{}]|\{[^{}]*\})*\})+", rest.strip()[:-1])
    return [head + path for part in parts for path in paths(part.strip())] if brace else [tree.split(" as ")[0]]

def imports(texts):
    """The modules that each module imports, of the text of each."""
    found, exports = {}, {}
    for module, text in texts.items():
        text = re.sub(r"//.*", "", text).split("#[cfg(test)]\nmod tests {")[0]
        text = re.sub(r"#\[cfg\((test|feature = \"fuzzing\")\)\]\s*(pub\S* )?(mod|use) [^;{]*;", "", text)
        uses = [(pub, p) for pub, tree in re.findall(r"^\s*(pub\S* )?use\s+([^;]+);", text, re.M) for p in paths(tree)]
        uses += [("", path) for path in re.findall(r"\b(?:crate|super)(?:::\w+)+", text)]
        for pub, path in uses:
            base, (first, *rest) = module.split("::"), re.sub(r"\s", "", path).split("::")
            while first == "super":
                base, first, rest = base[:-1], rest[0], rest[1:]
            path = "::".join(filter(None, {"crate": [], "self": base}.get(first, base + [first]) + rest))
            found.setdefault(module, set()).add(path)
            exports[module + "::" + path.split("::")[-1]] = path if pub else None
    def file_of(path):
        while path and path not in texts:
            path = exports.get(path) or path.rpartition("::")[0]
        return path
    return {a: sorted({file_of(path) for path in paths} - {a, ""}) for a, paths in found.items()}

def circles(graph):
    """The shortest one through each module, each once."""
    graph = {a: [b for b in bs if b.rpartition("::")[0] != a] for a, bs in graph.items()}
    seen = set()
    for start in sorted(graph):
        ways = [[start]]
        for way in ways:
            ways += [way + [b] for b in graph.get(way[-1], []) if not any(b in other[1:] for other in ways)]
        circle = next((way for way in ways if len(way) > 1 and way[-1] == start), [])
        if circle and frozenset(circle) not in seen:
            seen.add(frozenset(circle))
            yield circle

def wrong_ways(graph):
    for left, right in FORBIDDEN:
        yield from ([a, b] for a in sorted(graph) if a.split("::")[0] in left.split() for b in graph[a] if re.match(right, b))

SAMPLE = {"a": "use crate::b::{X, Y};", "b": "pub use c::{X as Z};\npub use c::X;", "b::c": "use crate::a;", "mint": "use super::admin;",
          "admin": "use self::x;", "admin::x": "use super::y;"}
assert list(circles(imports(SAMPLE))) == [["a", "b::c", "a"]], list(circles(imports(SAMPLE)))
assert list(wrong_ways(imports(SAMPLE))) == [["mint", "admin"]]
status = 0
for root in (Path(__file__).parents[2] / crate for crate in CRATES):
    files = {"::".join(file.relative_to(root).with_suffix("").parts): file.read_text() for file in root.rglob("*.rs")}
    graph = imports({name: text for name, text in files.items() if name != "lib" and ONLY_TESTS.isdisjoint(name.split("::"))})
    for found in [*circles(graph), *wrong_ways(graph)]:
        status = print(f"circles.py: {root.parent.name}:", " imports ".join(found), file=sys.stderr) or 1
sys.exit(status)
