#!/usr/bin/env python3
"""Checks every plan's bound against an independent solution of the same linear program.

    check_bound.py TOOL [MACHINE ...]      TOOL is the barelink program; machines default to all built-in ones

For every ordered pair of {each NUMA node, host:all, each GPU} with a GPU at one end, with and without relays, the program
is rebuilt from `topology --json` alone: every simple sequence of memories with at most two in between whose legs are
allowed DMA paths, and one row per link direction. glpsol (package glpk-utils) solves it. Exit status 1 when any bound
differs by more than 1e-6, when a plan fills a link direction beyond its rate, or when its routes do not add up.
"""
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

TOLERANCE = 1e-6
BYTES = 1 << 30


def run_json(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Machine:
    def __init__(self, tool, name):
        self.name = name
        described = run_json(tool, "topology", "--machine", name, "--json")
        self.kinds = {node["id"]: node["kind"] for node in described["nodes"]}
        self.capacity = {}
        self.lost = {}
        self.pcie = {}
        self.dram = {}
        for link in described["links"]:
            self.capacity[link["id"], "ab"] = link["gb_s_ab"]
            self.capacity[link["id"], "ba"] = link["gb_s_ba"]
            # Bytes that the other direction loses to each byte over this one: DRAM is one bus, links say it themselves.
            for way, back in (("ab", "ba"), ("ba", "ab")):
                shared_bus = link["kind"] == "dram" and link["gb_s_" + way] > 0
                self.lost[link["id"], way] = (
                    link["gb_s_" + back] / link["gb_s_" + way] if shared_bus else link["lost_" + back]
                )
            self.pcie[link["id"]] = link["kind"] == "pcie"
            self.dram[link["id"]] = link["kind"] == "dram"
        self.paths = {
            (path["from"], path["to"]): [tuple(hop) for hop in path["links"]]
            for path in described["paths"]
            if path["allowed"] and path["proof"] in ("proved", "assumed")
        }
        self.hosts = [i for i, kind in self.kinds.items() if kind == "memory"]
        ends = {end for path in described["paths"] for end in (path["from"], path["to"])}
        self.gpus = [i for i, kind in self.kinds.items() if kind == "gpu" and i in ends]

    def routes(self, start, end, relays):
        middle = [n for n in self.hosts + (self.gpus if relays else []) if n not in (start, end)]
        for count in range(3):
            for between in itertools.permutations(middle, count):
                stops = (start, *between, end)
                legs = list(zip(stops, stops[1:]))
                if all(leg in self.paths for leg in legs):
                    yield [use for leg in legs for use in self.uses(leg, between)]

    def uses(self, leg, between):
        """What each byte of a leg takes: (link direction, bytes). Rings in memory stay in the CPU's cache."""
        ring = any(end in between and self.kinds[end] == "memory" for end in leg)
        peers = all(self.kinds[end] == "gpu" for end in leg)
        for link, way in self.paths[leg]:
            yield (link, way), 1
            lost = 0 if peers and self.pcie[link] or ring and self.dram[link] else self.lost[link, way]
            if lost > 0:
                yield (link, "ba" if way == "ab" else "ab"), lost


def linear_program(machine, parts, relays):
    """CPLEX LP text: maximise the sum over parts, all parts at the same rate."""
    flows, rows, demands = [], {}, []
    for start, end in parts:
        mine = []
        for uses in machine.routes(start, end, relays):
            column = f"x{len(flows)}"
            flows.append(column)
            mine.append(column)
            for hop, amount in uses:
                counts = rows.setdefault(hop, {})
                counts[column] = counts.get(column, 0) + amount
        demands.append(mine)
    text = ["Maximize", f" total: {len(parts)} r", "Subject To"]
    for number, mine in enumerate(demands):
        text.append(f" d{number}: " + " + ".join(mine) + (" - r = 0" if mine else "r = 0"))
    for number, (hop, counts) in enumerate(rows.items()):
        terms = " + ".join(f"{count!r} {column}" for column, count in counts.items())
        text.append(f" l{number}: {terms} <= {machine.capacity[hop]!r}")
    return "\n".join(text + ["End", ""])


def solve(text, folder):
    program, solution = folder / "bound.lp", folder / "bound.sol"
    program.write_text(text)
    subprocess.run(["glpsol", "--lp", program, "-w", solution], capture_output=True, check=True)
    for line in solution.read_text().splitlines():
        if line.startswith("s bas"):
            return float(line.split()[-1])
    raise RuntimeError("glpsol wrote no basic solution")


def complaints(machine, plan, wanted):
    found = plan["bound_gb_s"]
    if abs(found - wanted) > TOLERANCE * max(1.0, wanted):
        yield f"bound {found!r}, glpsol {wanted!r}"
    if plan["predicted_gb_s"] > found * (1 + TOLERANCE):
        yield f"predicted {plan['predicted_gb_s']!r} is above the bound {found!r}"
    if sum(route["bytes"] for route in plan["routes"]) != plan["request"]["bytes"]:
        yield "the routes' bytes do not add up to the request"
    position = 0
    for route in sorted(plan["routes"], key=lambda r: r["offset"]):
        if route["offset"] != position:
            yield f"a gap or an overlap at byte {position}"
        position = route["offset"] + route["bytes"]
    load = {}
    for route in plan["routes"]:
        for hop in map(tuple, route["links"]):
            load[hop] = load.get(hop, 0) + route["gb_s"]
    for hop, gb_s in load.items():
        if gb_s > machine.capacity[hop] * (1 + TOLERANCE):
            yield f"{hop} carries {gb_s!r} of {machine.capacity[hop]!r}"
    for limiting in plan["limiting_links"]:
        if (limiting, "ab") not in machine.capacity:
            yield f"limiting link {limiting} is not a link"


def check(tool, name, folder):
    machine = Machine(tool, name)
    names = {node: node.replace("numa:", "host:") for node in machine.hosts}
    ends = [(names.get(n, n), [n]) for n in machine.hosts + machine.gpus] + [("host:all", machine.hosts)]
    checked = wrong = 0
    worst = 1.0
    for (start, starts), (end, stops) in itertools.product(ends, ends):
        if start == end or not (start.startswith("gpu") or end.startswith("gpu")):
            continue
        for relays in ("all", "none"):
            wanted = solve(linear_program(machine, list(itertools.product(starts, stops)), relays == "all"), folder)
            command = [tool, "plan", start, end, str(BYTES), "--machine", name, "--allow-relay", relays, "--json"]
            where = f"{name} {start} -> {end} relays {relays}"
            checked += 1
            if wanted <= 0:
                if subprocess.run(command, capture_output=True).returncode != 1:
                    wrong += 1
                    print(f"{where}: no route exists and the plan does not fail")
                continue
            try:
                plan = run_json(*command)
            except subprocess.CalledProcessError as failure:
                wrong += 1
                print(f"{where}: {failure.stderr.strip()}")
                continue
            worst = min(worst, plan["predicted_gb_s"] / plan["bound_gb_s"])
            for said in complaints(machine, plan, wanted):
                wrong += 1
                print(f"{where}: {said}")
    print(f"{name}: {checked} plans, {wrong} wrong, predicted at least {100 * worst:.2f} % of the bound")
    return wrong


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tool = sys.argv[1]
    names = sys.argv[2:] or [entry["name"] for entry in run_json(tool, "machines", "--json")]
    with tempfile.TemporaryDirectory() as folder:
        wrong = sum(check(tool, name, pathlib.Path(folder)) for name in names)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
