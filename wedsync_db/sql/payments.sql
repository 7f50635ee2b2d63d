-- name: bound
-- A delivery has seconds, and the provider sends it again: better to give up early than to queue. Read committed,
-- whatever the default is: who waited for a payment's lock has to see what its holder left.
set transaction isolation level read committed;
set local lock_timeout = '3s';
set local statement_timeout = '10s'

-- name: receive
-- Stores the event once and acts on it, or returns what came of it the first time.
select r.outcome, r.reason, r.repeated
from api.receive_payment_event(%(event)s, %(kind)s, %(payload)s::pg_catalog.jsonb, %(at)s) as r

-- name: retry
-- Tries again what is waiting: events that were faster than our own transaction, and errors nobody foresaw.
select r.event, r.outcome, r.reason
from api.retry_payment_events(%(at)s, %(most)s) as r
