"""Files of the client that processes read, and write."""

import os

import seen

LINES = 200


def copy(who):
    with open("words.txt") as file:
        words = file.read()
    with open(f"copy-{who}.txt", "w") as file:
        file.write(f"{who}\n{words}")


def body(context):
    with open("words.txt", "w") as file:
        file.writelines(f"line {number}\n" for number in range(LINES))
    copiers = [context.Process(target=copy, args=(who,)) for who in range(3)]
    for process in copiers:
        process.start()
    for process in copiers:
        process.join()
    with open("words.txt") as file:
        words = file.read()
    found = []
    for who in range(3):
        try:
            with open(f"copy-{who}.txt") as file:
                text = file.read()
        except FileNotFoundError:
            found.append("absent")
            continue
        found.append("whole" if text == f"{who}\n{words}" else "empty" if not text else "torn")
        os.unlink(f"copy-{who}.txt")
    os.unlink("words.txt")
    return {"copies": found, "codes": [process.exitcode for process in copiers]}


if __name__ == "__main__":
    seen.told(body)
