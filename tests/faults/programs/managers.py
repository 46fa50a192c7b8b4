"""A manager's list and dictionary, filled by processes."""

import seen


def fill(who, items, table):
    for number in range(8):
        items.append((who, number))
        table[who] = number


def body(context):
    with context.Manager() as manager:
        items, table = manager.list(), manager.dict()
        fillers = [context.Process(target=fill, args=(who, items, table)) for who in range(2)]
        for process in fillers:
            process.start()
        for process in fillers:
            process.join()
        codes = [process.exitcode for process in fillers]
        return {"items": list(items), "table": sorted(table.items()), "codes": codes}


if __name__ == "__main__":
    seen.told(body)
