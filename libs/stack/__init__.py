"""The local stack: a real Kafka and a real PostgreSQL under a folder of the checkout, and the supervisor of our own
processes. Nothing here is imported by a service; a service sees only the settings it is started with."""
