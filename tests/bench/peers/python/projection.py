"""eventsource-py, as the benchmark `projection` asks for it.

    projection.py EVENTS sqlite FILE
    projection.py EVENTS postgres ADDRESS SCHEMA

It fills a store with so many events, says `ready`, and for each line that it reads projects all of them from the first
on, with one row written for each. It answers with how many events that were and how many nanoseconds they took.
"""

import asyncio
import logging
import sys
import time
from uuid import uuid4

from eventsource import (
    DatabaseProjection,
    DomainEvent,
    ExpectedVersion,
    PostgreSQLEventStore,
    SQLCheckpointRepository,
    SQLiteEventStore,
    StreamId,
    create_async_engine,
    handles,
    register_event,
)
from eventsource.migrations import get_schema
from sqlalchemy import event as hooks
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker

# How many events are appended at once while the store is filled.
BATCH = 500
CREATE = "CREATE TABLE counts (kind text PRIMARY KEY, count bigint NOT NULL)"
UPSERT = text(
    "INSERT INTO counts AS old VALUES (:kind, 1) ON CONFLICT (kind) DO UPDATE SET count = old.count + 1"
)


@register_event
class OrderPlaced(DomainEvent):
    aggregate_type: str = "Order"
    customer: str = "Ada Lovelace"
    address: str = "12 Analytical Row, Marylebone, London W1G 9SY, United Kingdom"
    note: str = "Please leave it with the neighbours at number fourteen, please."


@register_event
class ItemAdded(DomainEvent):
    aggregate_type: str = "Order"
    product: str = "keyboard-87-iso"
    description: str = "A keyboard with eighty-seven keys, brown switches and a long, braided cable"
    quantity: int = 2
    cents: int = 11_900


@register_event
class NoteTaken(DomainEvent):
    aggregate_type: str = "Order"
    author: str = "support"
    text: str = (
        "The customer called and asked whether the parcel could be sent a day later than agreed, since nobody will be"
        " at home on Tuesday this week."
    )


class Counts(DatabaseProjection):
    """Counts the events of each kind."""

    @handles(OrderPlaced)
    async def placed(self, connection, event: OrderPlaced) -> None:
        await connection.execute(UPSERT, {"kind": "placed"})

    @handles(ItemAdded)
    async def added(self, connection, event: ItemAdded) -> None:
        await connection.execute(UPSERT, {"kind": "added"})

    @handles(NoteTaken)
    async def noted(self, connection, event: NoteTaken) -> None:
        await connection.execute(UPSERT, {"kind": "noted"})

    async def _truncate_read_models(self) -> None:
        async with self._session_factory() as session, session.begin():
            await session.execute(text("DELETE FROM counts"))


def nth(ordinal):
    if ordinal == 0:
        return OrderPlaced
    return NoteTaken if ordinal % 3 == 0 else ItemAdded


async def sqlite(file):
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")

    # As durable as what it is measured beside, and no more.
    @hooks.listens_for(engine.sync_engine, "connect")
    def normal(connection, _record):
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine, SQLiteEventStore(file)


async def postgres(address, schema):
    url = "postgresql+asyncpg://" + address.split("://", 1)[1]
    engine = create_async_engine(url, connect_args={"server_settings": {"search_path": schema}})
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        # PostgreSQL does not compile one of its functions, which nothing calls here.
        await raw.driver_connection.execute("SET check_function_bodies = off")
        for name in ("events", "checkpoints"):
            await raw.driver_connection.execute(get_schema(name))
    return engine, PostgreSQLEventStore(engine)


async def fill(store, events):
    for _ in range(0, events, BATCH):
        order = uuid4()
        batch = [nth(ordinal)(aggregate_id=order, aggregate_version=ordinal + 1) for ordinal in range(BATCH)]
        await store.append(StreamId(order, "Order"), batch, ExpectedVersion.no_stream())


async def project(store, projection):
    await projection.reset()
    count, begun = 0, time.perf_counter_ns()
    async for envelope in store.read_all():
        await projection.handle(envelope.event)
        count += 1
    return count, time.perf_counter_ns() - begun


async def main(events, backend, *where):
    # It warns whenever a projection is reset.
    logging.disable(logging.WARNING)
    engine, store = await {"sqlite": sqlite, "postgres": postgres}[backend](*where)
    await fill(store, int(events))
    async with engine.begin() as connection:
        await connection.execute(text(CREATE))
    checkpoints = SQLCheckpointRepository(engine, enable_tracing=False)
    projection = Counts(async_sessionmaker(engine, expire_on_commit=False), checkpoint_repo=checkpoints)
    print("ready", flush=True)
    for _ in sys.stdin:
        count, nanoseconds = await project(store, projection)
        print(count, nanoseconds, flush=True)
    if backend == "sqlite":
        await store.close()
    await engine.dispose()


asyncio.run(main(*sys.argv[1:]))
