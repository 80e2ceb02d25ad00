"""A producer and a consumer of another language: OpenTelemetry's own SDK, and clients that know nothing of eventsource.

    peer.py produce|consume kafka|rabbitmq ADDRESS DESTINATION

Tells what it did in lines of JSON: `ready`, then `message` (a consumer's), then a `span` each.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

ROUTING_KEY = "Order.OrderPlaced"
EVENT = {
    "event_id": "0193f2a4-7c3e-7d1a-9b2c-0123456789ab",
    "event_type": "OrderPlaced",
    "event_version": "1",
    "aggregate_id": "42",
    "aggregate_type": "Order",
    "content-type": "application/json",
}


def tell(kind, **facts):
    print(json.dumps({"kind": kind, **facts}), flush=True)


class Telling(SpanExporter):
    def export(self, spans):
        for span in spans:
            tell(
                "span",
                name=span.name,
                span_kind=span.kind.name,
                trace_id=f"{span.context.trace_id:032x}",
                span_id=f"{span.context.span_id:016x}",
                parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
            )
        return SpanExportResult.SUCCESS


def produce(send, destination):
    tracer = trace.get_tracer("peer")
    with tracer.start_as_current_span("place order"):
        with tracer.start_as_current_span(f"send {destination}", kind=SpanKind.PRODUCER):
            headers = dict(EVENT)
            propagate.inject(headers)
            send(headers, b'{"cents": 4200}')


def micros(time):
    if time is not None:
        since = datetime.fromisoformat(time.replace("Z", "+00:00")) - datetime.fromtimestamp(0, timezone.utc)
        return since // timedelta(microseconds=1)


def consume(receive, destination):
    headers, payload = receive()
    tell("message", headers=headers, payload=payload.decode(), occurred_at_micros=micros(headers.get("occurred_at")))
    tracer = trace.get_tracer("peer")
    context = propagate.extract(headers)
    with tracer.start_as_current_span(f"process {destination}", context=context, kind=SpanKind.CONSUMER):
        with tracer.start_as_current_span("ship order"):
            pass


def kafka(address, topic):
    from confluent_kafka import Consumer, Producer

    def send(headers, payload):
        producer = Producer({"bootstrap.servers": address})
        producer.produce(topic, payload, key="Order-42", headers=headers)
        assert producer.flush(30) == 0

    def receive():
        settings = {
            "bootstrap.servers": address,
            # Tansu never forms a group again whose leader leaves while it is formed anew: nobody else is in this one.
            "group.id": f"{topic}.python",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 2000,
            "heartbeat.interval.ms": 300,
        }
        consumer = Consumer(settings)
        consumer.subscribe([topic])
        tell("ready")
        while True:
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                headers = {name: value.decode() for name, value in message.headers()}
                consumer.close()
                return headers, message.value()

    return send, receive


def rabbitmq(address, exchange):
    import pika

    def channel():
        return pika.BlockingConnection(pika.URLParameters(address)).channel()

    def send(headers, payload):
        to = channel()
        to.confirm_delivery()
        properties = pika.BasicProperties(headers=headers, content_type="application/json", delivery_mode=2)
        to.basic_publish(exchange, ROUTING_KEY, payload, properties, mandatory=True)

    def receive():
        on = channel()
        queue = on.queue_declare("", exclusive=True).method.queue
        on.queue_bind(queue, exchange, "#")
        tell("ready")
        for method, properties, payload in on.consume(queue):
            on.basic_ack(method.delivery_tag)
            return properties.headers, payload

    return send, receive


def main():
    role, broker, address, destination = sys.argv[1:]
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Telling()))
    trace.set_tracer_provider(provider)
    send, receive = {"kafka": kafka, "rabbitmq": rabbitmq}[broker](address, destination)
    if role == "produce":
        produce(send, destination)
    else:
        consume(receive, destination)


main()
