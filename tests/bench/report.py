"""Turns the runs of one benchmark into Markdown tables of medians."""

import statistics

MIB = 1024 * 1024
STARVING = 0.3  # share of the connections; wrk's own delays keep a fast server that takes turns among all below 1
QUIET = 0.05  # share of the machine that others may use before a table says so


def markdown(document):
    """All tables of a result (see __main__.py for its keys), with the notes that belong to them."""
    lines = [heading(document), ""]
    keys = list(dict.fromkeys((run["scenario"], run["connections"]) for run in document["runs"] if "scenario" in run))
    for scenario, connections in keys:
        runs = [run for run in document["runs"] if run.get("scenario") == scenario and run["connections"] == connections]
        lines += [f"### {scenario}, {connections} connections", "", *table(runs, document["references"]), ""]
    never = [f"{run['server']}: {run['failed']}" for run in document["runs"] if "scenario" not in run]
    if never or document["left_out"]:
        lines += ["Left out:", "", *("- " + text for text in never + document["left_out"]), ""]
    return "\n".join(lines)


def heading(document):
    machine = document["machine"]
    quiet = "" if document["plan"]["rounds"] >= 5 else " **A short run: provisional figures.**"
    return (f"{document['date']}, commit {document['commit']}; {machine['cores']} cores {machine['processor']}, "
            f"Linux {machine['kernel']}; {document['plan']['rounds']} rounds of {document['plan']['seconds']} s.{quiet}\n\n"
            + "; ".join(document["versions"]) + ".")


def table(runs, references):
    good = [run for run in runs if "failed" not in run]
    present = [name for name in references if any(run["server"] == name for run in good)]
    bounded = any("bound" in run for run in good)
    columns = ["server", "requests/s", *(f"of {name}" for name in present), *(["of its bound"] if bounded else []),
               "CPU µs each", "p50 ms", "p99 ms", "PSS MiB", "errors"]
    rows = [columns, ["---"] + ["---:"] * (len(columns) - 1)]
    notes = []
    for name in dict.fromkeys(run["server"] for run in good):
        mine = [run for run in good if run["server"] == name]

        def median(key, scale=1.0):
            return statistics.median(run[key] for run in mine) * scale

        row = [name, f"{median('requests_per_second'):,.0f}"]
        row += [ratio(mine, [run for run in good if run["server"] == other]) for other in present]
        if bounded:
            bounds = [run["requests_per_second"] / run["bound"] for run in mine if run["bound"]]
            row.append(f"{statistics.median(bounds):.2f}" if bounds else "")
        row += [f"{median('cpu_us'):.1f}", f"{median('p50_us', 1e-3):.2f}", f"{median('p99_us', 1e-3):.2f}",
                f"{median('pss_bytes', 1 / MIB):.0f}", f"{sum(run['errors'] for run in mine):,}"]
        rows.append(row)
        served = median("served_connections")
        if served < STARVING * mine[0]["connections"]:
            notes.append(f"{name} answered only about {served:.0f} of the {mine[0]['connections']} connections at a time "
                         "and let the others wait: its percentiles are of those it answered.")
        if any(run["size_differs"] for run in mine):
            notes.append(f"{name}: responses under load had another size than the verified one.")
    for name in dict.fromkeys(run["server"] for run in runs if "failed" in run):
        failed = [run["failed"] for run in runs if run["server"] == name and "failed" in run]
        notes.append(f"{name}: {len(failed)} runs left out: {failed[0]}.")
    bare = [run["bare"] for run in good if run.get("bare")]
    if bare:
        notes.append(f"Bare loops of the same sleep on 2 × 5 threads of Python, without a server, reached {statistics.median(bare):.2f} "
                     "of that bound in these rounds (median).")
    if good:
        others = [run["other_share"] for run in good]
        loud = " **The machine was not quiet.**" if statistics.median(others) > QUIET else ""
        notes.append(f"Other processes used {statistics.median(others):.1%} of the machine (median; "
                     f"{max(others):.1%} at most).{loud}")
    return ["| " + " | ".join(row) + " |" for row in rows] + ["", *notes]


def ratio(mine, others):
    """Median of the ratios to the other server's run of the same round."""
    by_round = {run["round"]: run["requests_per_second"] for run in others}
    ratios = [run["requests_per_second"] / by_round[run["round"]] for run in mine if by_round.get(run["round"])]
    return f"{statistics.median(ratios):.3g}" if ratios else ""
