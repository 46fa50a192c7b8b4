"""Models of pydantic, of `__main__` and made at run time, and Enums made by a call."""

import enum
import multiprocessing as mp
import sys
from typing import Generic, Optional, TypeVar

import pydantic

T = TypeVar("T")


class Address(pydantic.BaseModel):
    street: str
    number: int = 1


class Person(pydantic.BaseModel):
    name: str
    address: Optional[Address] = None
    friends: list["Person"] = []

    def greet(self):
        return f"{GREETING} {self.name}"


class Box(pydantic.BaseModel, Generic[T]):
    content: T


GREETING = "unset"
Late = pydantic.create_model("Late", x=(int, 3), inner=(Optional[Person], None))
Level = enum.Enum("Level", "LOW HIGH")
BoxOfInt = Box[int]


def work(person):
    known = [type(person) is Person, type(person.address) is Address, isinstance(person.friends[0], Person)]
    try:
        Person(name=[])
    except pydantic.ValidationError as error:
        known.append(error.error_count())
    made = Late(x="7", inner=person)
    return (
        known,
        person.greet(),
        made,
        person.model_copy(update={"name": "copy"}),
        Level.HIGH,
        BoxOfInt(content=5),
    )


if __name__ == "__main__":
    GREETING = "hello"
    ann = Person(name="ann", address={"street": "x"}, friends=[{"name": "bob"}])
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        known, said, made, copy, level, box = pool.apply(work, (ann,))
    print(known, said, made.x, made.inner == ann, copy.name, copy.friends[0].name)
    print(type(made) is Late, type(made.inner) is Person, type(copy.address) is Address, level is Level.HIGH)
    print(type(box) is BoxOfInt, box.content, made.model_dump())
