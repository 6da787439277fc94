"""Dominators and retained sizes of graphs of a million nodes against igraph, which has another algorithm (Lengauer, Tarjan)."""
import array
import itertools
import os
import subprocess

import igraph
import pytest

NODES = 1_000_000
FAMILIES = ["web", "near", "loops"]  # LINGER_LONG=1: all
if os.environ.get("LINGER_LONG"):
    FAMILIES += ["sparse", "acyclic", "tree", "list", "ladder", "back"]
NOT_REACHED = 0xFFFFFFFF


def numbers(file, kind, count):
    values = array.array(kind)
    values.fromfile(file, count)
    return values


def read_graph(path):
    """Edges, as one list of sources and targets in turn, and roots."""
    with open(path, "rb") as file:
        nodes, edges, roots = numbers(file, "I", 3)
        starts, targets = numbers(file, "I", nodes + 1), numbers(file, "I", edges)
        sources = itertools.chain.from_iterable(itertools.repeat(n, starts[n + 1] - starts[n]) for n in range(nodes))
        return nodes, list(zip(sources, targets)), list(numbers(file, "I", roots))


def by_igraph(nodes, edges, roots):
    """Immediate dominators, with one node in front of all roots, numbered `nodes`."""
    graph = igraph.Graph(nodes + 1, edges + [(nodes, root) for root in roots], directed=True)
    return graph.dominator(nodes, mode="out")


def fold(nodes, idom):
    """What each node retains, by the tree alone: children before what dominates them."""
    left, size = [0] * (nodes + 1), [24 + n % 13 * 8 if idom[n] != NOT_REACHED else 0 for n in range(nodes)] + [0]
    for above in idom:
        if above != NOT_REACHED:
            left[above] += 1
    for node in range(nodes):
        while node < nodes and idom[node] != NOT_REACHED and left[node] == 0:
            above = idom[node]
            size[above] += size[node]
            left[node], left[above] = -1, left[above] - 1
            node = above
    return size


@pytest.mark.parametrize("family", FAMILIES)
def test_a_million_nodes_have_the_dominators_that_igraph_finds(lab, tmp_path, family):
    program, graph, out = lab.support("dominate"), tmp_path / "graph", tmp_path / "tree"
    subprocess.run([program, "make", family, str(NODES), "20261124", str(graph)], check=True)
    subprocess.run([program, "find", str(graph), str(out)], check=True)
    nodes, edges, roots = read_graph(graph)
    with open(out, "rb") as file:
        idom, retained = numbers(file, "I", nodes), numbers(file, "Q", nodes)
    theirs = [int(d) if d >= 0 else NOT_REACHED for d in by_igraph(nodes, edges, roots)[:nodes]]  # NaN is neither
    assert len([n for n in idom if n != NOT_REACHED]) > nodes / 4, "a graph of which little is reached proves little"
    assert idom.tolist() == theirs
    assert retained.tolist() == fold(nodes, theirs)[:nodes]
