"""Judges what several processes were told against what is there in the end: check(workload, level, operations, final).

A pure function over what was logged; leaves running to histories.py. checker_test.py holds bad histories against it, each
of which it must refuse.

An operation is {"who", "op", "begun", "ended", "state", ...}: `state` is "ok" (it said that it is in), "fail" (it said that nothing
of it is in) or "unknown" (it said neither: its process was killed, or it said so). Times are of one clock. Each value is
written once in a history, so that a value that is seen names its writer. What is found is a list of (kind, text):

    lost         it was said to be in, and is not
    lost update  a write went over another that its writer had not seen
    false fail   it was said not to be in, and is (of a read: G1a, an aborted write was read)
    half         of what was written together a part is in
    twice        it is in more than once
    unwritten    a value that nobody wrote
    stale        a read, outside any unit, does not see what was acknowledged before it began, or goes back
    future       a read saw what was begun after it had ended
    history      the ledger's changes are not those of the data
    odd          an answer that no part of the workload can lead to
    G0, G1b, G1c, G-single, G2    of lists; see below

Sound: what is reported did happen. All that is used are answers, in the order in which they were given, and what another client reads
in the end. An unknown operation counts as done where its value is seen, and is otherwise allowed either way. Not complete:
what nobody looked at while it was wrong, and was right in the end, is not found.

register   A write says on which value it was made (the token of what was read). Acknowledged writes, and unknown ones
           that are seen, must be links of one chain from the first value to the last: two links on one value are a lost update. The
           chain orders all values, so reads are held against time: none is older than what had ended before it began.
counter    Each addition is told before and after. No two are told the same, and the end lies between the acknowledged
           ones and those plus the unknown ones; so does each read, by what had ended before it and begun until it ended.
bank       A transfer is two additions and a row with its id, in one unit: the rows that are there are the
           transfers that were done, exactly. Balances must be what they come to; each read must add up.
set        Elements that are created, each once.
list       A unit reads some lists and appends to others (Kingsbury and Alvaro's Elle, 2020, is where the idea is from). A list that is
           read shows the order of the versions of its record, for each append adds to its end: all reads are prefixes of the last
           one. From that order follow, between units,
             ww  the next version is the other's,   wr  it read the other's version,   rw  the next version after what it read is the other's.
           With Adya's names (1999), a cycle of ww is G0, of ww and wr is G1c, with exactly one rw G-single, with more G2; a read of
           a version in the middle of a unit's own is G1b. Reads of units that are not known to be in are left out. An
           append is also told on what it was made: that must be the version before it (else a lost update).
           READ COMMITTED forbids all but G-single and G2, REPEATABLE READ also G-single, SERIALIZABLE all.
"""

ALLOWED = {"read-committed": {"G-single", "G2"}, "repeatable-read": {"G2"}, "serializable": set()}

# What a workload may be told beside OK. The first are the engine's or the network's doing.
USUAL = {"OK", "RETRY", "LOCKED", "UNREACHABLE", "OUTCOME_UNKNOWN"}
TOLD = {"register": {"STALE"}, "counter": set(), "bank": {"CONSTRAINT"}, "set": set(), "list": set()}


def check(workload, level, operations, final):
    faults = [
        ("odd", f"{o['who']} {o['op']}: {o['status']}: {o.get('text', '')}")
        for o in operations
        if o.get("status", "OK") not in USUAL | TOLD[workload]
    ]
    return faults + CHECKS[workload](operations, final, level)


def of(operations, op, *states):
    return [o for o in operations if o["op"] == op and o["state"] in states]


# --- registers ---


def chains(writes, reads, final, first):
    """Positions of a key's values, and what is wrong with their chain."""
    faults = []
    by_value = {o["value"]: o for o in writes}
    seen = {final, *(o["value"] for o in reads), *(o["base"] for o in writes)}
    there = [o for o in writes if o["state"] == "ok" or (o["state"] == "unknown" and o["value"] in seen)]
    for value in sorted(seen):
        if value != first and value not in by_value:
            faults.append(("unwritten", f"{value}"))
        elif value != first and by_value[value]["state"] == "fail":
            faults.append(("false fail", f"{value} of {by_value[value]['who']} was seen (G1a)"))
    after = {}
    for o in there:
        after.setdefault(o["base"], []).append(o)
    position, at = {first: 0}, first
    while len(after.get(at, [])) == 1 and after[at][0]["value"] not in position:
        at = after[at][0]["value"]
        position[at] = len(position)
    for base, several in sorted(after.items()):
        if len(several) > 1:
            faults.append(("lost update", f"{' and '.join(o['who'] for o in several)} both wrote on {base}"))
    missing = [o for o in there if o["value"] not in position]
    if not any(kind == "lost update" for kind, _ in faults):
        faults += [("lost", f"{o['who']} wrote {o['value']} on {o['base']}, which the last value {final} does not come from") for o in missing]
        if final != at:
            faults.append(("lost", f"the last value is {final}, the last write of the chain wrote {at}"))
    return position, faults


def against_time(looks, position):
    """(begun, ended, value, writes, who): none may be older than what was seen before it began."""
    faults, events, floor = [], [], 0
    for n, (begun, ended, value, _, _) in enumerate(looks):
        if value in position:
            events += [(begun, 1, n), (ended, 0, n)]
    floors = {}
    for _, begins, n in sorted(events):
        if begins:
            floors[n] = floor
            continue
        _, _, value, writes, who = looks[n]
        if position[value] < floors[n] + (1 if writes else 0):
            faults.append(("stale", f"{who}: {value} is number {position[value]}, and number {floors[n]} was seen before it began"))
        floor = max(floor, position[value])
    return faults


def future(reads, begun):
    """Reads of values whose write began after they had ended."""
    return [("future", f"{o['who']} read {value}") for o, value in reads if value in begun and begun[value] > o["ended"]]


def register(operations, final, _level):
    faults = []
    for key, last in final["values"].items():
        writes = [o for o in of(operations, "write", "ok", "fail", "unknown") if o["key"] == key]
        reads = [o for o in of(operations, "read", "ok") if o["key"] == key]
        position, wrong = chains(writes, reads, last, 0)
        faults += [(kind, f"register {key}: {text}") for kind, text in wrong]
        looks = [(o["begun"], o["ended"], o["value"], o["op"] == "write", o["who"]) for o in reads + writes if o["state"] == "ok"]
        faults += against_time(looks, position)
        faults += future([(o, o["value"]) for o in reads], {o["value"]: o["begun"] for o in writes})
        links = final["history"].get(key, [])
        at = [0] + [after for _, after in links]
        if any(before != at[i] for i, (before, _) in enumerate(links)) or at[-1] != last:
            faults.append(("history", f"register {key}: it is {last}, and history ends with {links[-3:]}"))
    return faults


# --- counters ---


def counter(operations, final, _level):
    faults = []
    adds, n = of(operations, "add", "ok"), final["n"]
    unknown = of(operations, "add", "unknown")
    if n < len(adds):
        faults.append(("lost", f"{len(adds)} were acknowledged, {n} are in"))
    if n > len(adds) + len(unknown):
        faults.append(("twice", f"{n} are in, {len(adds)} were acknowledged and {len(unknown)} are unknown"))
    told = {}
    for o in adds:
        if o["after"] != o["before"] + 1 or not 0 < o["after"] <= n:
            faults.append(("unwritten", f"{o['who']}: {o['before']} -> {o['after']}"))
        elif o["after"] in told:
            faults.append(("lost update", f"{o['who']} and {told[o['after']]} were both told {o['before']} -> {o['after']}"))
        told[o["after"]] = o["who"]
    # by time: +1 for what was acknowledged, +1 for what was begun
    events = [(o["ended"], 0, "in") for o in adds] + [(o["begun"], 0, "maybe") for o in adds + unknown]
    for look in adds + of(operations, "read", "ok"):
        events += [(look["begun"], 1, look), (look["ended"], 2, look)]
    least, most, before = 0, 0, {}
    for _, kind, what in sorted(events, key=lambda e: e[:2]):
        if what == "in":
            least += 1
        elif what == "maybe":
            most += 1
        elif kind == 1:
            before[id(what)] = least
        else:
            value = what["value"] if what["op"] == "read" else what["after"]
            if value < before[id(what)] + (what["op"] == "add"):
                faults.append(("stale", f"{what['who']} saw {value}, {before[id(what)]} had been acknowledged"))
            if value > most:
                faults.append(("future", f"{what['who']} saw {value}, {most} had been begun"))
    if final["changes"] != n:
        faults.append(("history", f"{n} additions are in, history has {final['changes']}"))
    return faults


# --- bank ---


def bank(operations, final, _level):
    faults = []
    asked = {o["id"]: o for o in of(operations, "transfer", "ok", "fail", "unknown")}
    rows, first = {}, final["first"]
    balances = {account: first for account in final["balances"]}
    for number, source, target, amount in final["transfers"]:
        if number in rows:
            faults.append(("twice", f"transfer {number}"))
        rows[number] = (source, target, amount)
        balances[source] -= amount
        balances[target] += amount
        o = asked.get(number)
        if not o or (o["from"], o["to"], o["amount"]) != rows[number]:
            faults.append(("unwritten", f"transfer {number}: {rows[number]}"))
        elif o["state"] == "fail":
            faults.append(("false fail", f"transfer {number} of {o['who']}: {o['status']}"))
    faults += [("lost", f"transfer {o['id']} of {o['who']}") for o in asked.values() if o["state"] == "ok" and o["id"] not in rows]
    for account, balance in sorted(final["balances"].items()):
        if balance != balances[account]:
            faults.append(("half", f"account {account} has {balance}, its transfers come to {balances[account]}"))
    total = first * len(balances)
    for who, seen in [(o["who"], o["balances"]) for o in of(operations, "sum", "ok")] + [("the end", list(final["balances"].values()))]:
        if sum(seen) != total or min(seen) < 0:
            faults.append(("half", f"{who}: balances {seen} come to {sum(seen)}, not to {total}" if sum(seen) != total else f"{who}: {seen}"))
    if final["changes"] != 3 * len(rows):
        faults.append(("history", f"{len(rows)} transfers are in, and {final['changes']} changes, not three each"))
    return faults


# --- sets ---


def set_(operations, final, _level):
    faults = []
    asked = {o["value"]: o for o in of(operations, "insert", "ok", "fail", "unknown")}
    there = set(final["elements"])
    if len(there) != len(final["elements"]):
        faults.append(("twice", f"{len(final['elements']) - len(there)} elements"))
    faults += [("unwritten", f"{value}") for value in sorted(there - asked.keys())]
    for value, o in asked.items():
        if o["state"] == "ok" and value not in there:
            faults.append(("lost", f"{value} of {o['who']}"))
        if o["state"] == "fail" and value in there:
            faults.append(("false fail", f"{value} of {o['who']}: {o['status']}"))
    acknowledged = sorted((o["ended"], value) for value, o in asked.items() if o["state"] == "ok")
    for read in of(operations, "all", "ok"):
        seen = set(read["values"])
        for ended, value in acknowledged:
            if ended >= read["begun"]:
                break
            if read["from"] <= value < read["to"] and value not in seen:
                faults.append(("stale", f"{read['who']} did not see {value}"))
        faults += future([(read, value) for value in seen], {value: o["begun"] for value, o in asked.items()})
        faults += [("false fail", f"{read['who']} saw {value} (G1a)") for value in seen if value in asked and asked[value]["state"] == "fail"]
    if final["changes"] != len(there):
        faults.append(("history", f"{len(there)} elements, {final['changes']} changes"))
    return faults


# --- lists ---


def components(edges):
    """The strongly connected components of more than one node (Tarjan's, without recursion)."""
    index, low, on, stack, found = {}, {}, set(), [], []
    for root in list(edges):
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            node, following = work[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on.add(other)
                    work.append((other, iter(edges.get(other, ()))))
                    break
                if other in on:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = set()
                    while node not in part:
                        part.add(stack.pop())
                    on -= part
                    if len(part) > 1:
                        found.append(part)
    return found


def path(edges, start, end, within):
    """The nodes from `start` to `end`, or None."""
    came, queue = {start: None}, [start]
    for node in queue:
        if node == end:
            way = []
            while node is not None:
                way.append(node)
                node = came[node]
            return way[::-1]
        for other in edges.get(node, ()):
            if other in within and other not in came:
                came[other] = node
                queue.append(other)
    return None


def cycles(graph):
    """What cycles there are: `graph` is {kind: {unit: set of units}}."""
    faults = []

    def joined(*kinds):
        edges = {}
        for kind in kinds:
            for node, others in graph[kind].items():
                edges.setdefault(node, set()).update(others)
        return edges

    for part in components(graph["ww"]):
        faults.append(("G0", f"writes went over each other: {sorted(part)[:6]}"))
    known, dependent = set().union(*components(graph["ww"]) or [set()]), joined("ww", "wr")
    for part in components(dependent):
        if not part <= known:
            faults.append(("G1c", f"each depends on the other: {sorted(part)[:6]}"))
    for part in components(joined("ww", "wr", "rw")):
        single = None
        for node in sorted(part):
            for other in sorted(graph["rw"].get(node, ())):
                single = single or (other in part and path(dependent, other, node, part))
        if single:
            faults.append(("G-single", f"{single[-1]} read what {single[0]} wrote over, and comes after it: {' -> '.join(single)}"))
        elif any(other in part for node in part for other in graph["rw"].get(node, ())):
            faults.append(("G2", f"each read what the next wrote over: {sorted(part)[:6]}"))
    return faults


def list_(operations, final, level):
    faults, writer = [], {}
    units = {o["who"]: o for o in of(operations, "unit", "ok", "fail", "unknown")}
    for who, o in units.items():
        for n, (key, value) in enumerate(o["appends"]):
            writer[key, value] = (who, n)
    order = {key: list(values) for key, values in final["lists"].items()}
    for key, values in order.items():
        if len(set(values)) != len(values):
            faults.append(("twice", f"list {key}: {values}"))
        for value in values:
            if (key, value) not in writer:
                faults.append(("unwritten", f"list {key}: {value}"))
            elif units[writer[key, value][0]]["state"] == "fail":
                faults.append(("false fail", f"list {key}: {value} of {writer[key, value][0]}: {units[writer[key, value][0]]['status']}"))
    there = {(key, value) for key, values in order.items() for value in values}
    done = set()
    for who, o in units.items():
        inside = [(key, value) in there for key, value in o["appends"]]
        if o["state"] == "ok" and not all(inside):
            faults.append(("half" if any(inside) else "lost", f"{who}: {o['appends']}"))
        elif o["state"] == "unknown" and any(inside) and not all(inside):
            faults.append(("half", f"{who}: {o['appends']}"))
        if o["state"] == "ok" or any(inside):
            done.add(who)
    graph = {kind: {} for kind in ("ww", "wr", "rw")}

    def edge(kind, one, other):
        if one != other and one in done and other in done:
            graph[kind].setdefault(one, set()).add(other)

    for key, values in order.items():
        for before, after in zip(values, values[1:]):
            if (key, before) in writer and (key, after) in writer:
                edge("ww", writer[key, before][0], writer[key, after][0])
    for who, o in units.items():
        if o["state"] != "ok":
            continue
        for key, seen in o["reads"]:
            values = order.get(key, [])
            if seen != values[: len(seen)]:
                bad = [value for value in seen if (key, value) in writer and units[writer[key, value][0]]["state"] == "fail"]
                kind = "false fail" if bad else "unwritten" if any((key, value) not in writer for value in seen) else "lost"
                faults.append((kind, f"{who} read list {key} as {seen[-4:]}, of which {values[-4:]} is no continuation" + (" (G1a)" if bad else "")))
                continue
            if seen and (key, seen[-1]) in writer:
                last, n = writer[key, seen[-1]]
                if any(k == key for k, _ in units[last]["appends"][n + 1 :]) and last != who:
                    faults.append(("G1b", f"{who} read list {key} up to {seen[-1]}, in the middle of {last}"))
                    continue
                edge("wr", last, who)
            if len(seen) < len(values) and (key, values[len(seen)]) in writer:
                edge("rw", who, writer[key, values[len(seen)]][0])
        for (key, value), base in zip(o["appends"], o["bases"]):
            values = order.get(key, [])
            if value in values and base != values[: values.index(value)]:
                faults.append(("lost update", f"{who} appended {value} to {base[-4:]} of list {key}, it stands behind {values[: values.index(value)][-4:]}"))
    faults += [fault for fault in cycles(graph) if fault[0] not in ALLOWED[level]]
    if final["changes"] != len(there):
        faults.append(("history", f"{len(there)} appends are in, history has {final['changes']} changes"))
    return faults


CHECKS = {"register": register, "counter": counter, "bank": bank, "set": set_, "list": list_}
