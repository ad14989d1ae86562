"""
The bus: carries references to what waits, from the outbox to the couriers, at least once; never a document, never a person.

    outbox     rows written in the transaction of what they announce
    relay      publishes them, deletes what the bus confirmed
    base       the contract of the bus
    embedded   the bus on a table of the gateway's own database
    rabbitmq   the bus on RabbitMQ
"""
