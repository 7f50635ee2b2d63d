-- The states a made-up row went through, for the audit log: place, since when, whether it came to that, and what was
-- different then from how it is now.

-- name: any
-- It came as it is.
(1, t.created_at, true, '{}'::pg_catalog.jsonb)

-- name: wedding_vendors
-- Invited first.
(1, t.invited_at, true, pg_catalog.jsonb_build_object('status', 'invited', 'responded_at', null)),
(2, t.responded_at, t.responded_at is not null, '{}')

-- name: forms
-- Published when its version was there.
(1, t.created_at, true, pg_catalog.jsonb_build_object('status', 'draft', 'published_version_id', null)),
(2, t.updated_at, t.published_version_id is not null, '{}')

-- name: contracts
-- Written, sent, signed, and void when the wedding was called off.
(1, t.created_at, true,
 pg_catalog.jsonb_build_object('status', 'draft', 'sent_at', null, 'signed_at', null, 'signed_name', null)),
(2, t.sent_at, t.sent_at is not null,
 pg_catalog.jsonb_build_object('status', 'sent', 'signed_at', null, 'signed_name', null)),
(3, t.signed_at, t.signed_at is not null, pg_catalog.jsonb_build_object('status', 'signed')),
(4, t.updated_at, t.status = 'void', '{}')

-- name: subscriptions
-- The provider's event moved it; what it was before is not known any more.
(1, t.created_at, true, pg_catalog.jsonb_build_object('provider_event_at', null, 'current_period_end', null)),
(2, t.updated_at, t.provider_event_at is not null, '{}')

-- name: invoices
-- Only a draft is made; it is computed when it is issued.
(1, t.created_at, true,
 pg_catalog.jsonb_build_object('status', 'draft', 'net_minor', 0, 'tax_minor', 0, 'total_minor', 0, 'paid_minor', 0,
                               'issued_at', null)),
(2, t.issued_at, t.issued_at is not null, pg_catalog.jsonb_build_object('status', 'issued', 'paid_minor', 0)),
(3, t.updated_at, t.status in ('paid', 'void'), '{}')

-- name: payments
-- Started, then moved by the provider's events; the log has the last of them.
(1, t.created_at, true,
 pg_catalog.jsonb_build_object('status', 'pending', 'refunded_minor', 0, 'disputes', '{}'::pg_catalog.jsonb,
                               'failure_reason', null)),
(2, t.updated_at, true, '{}')

-- name: consents
-- Only ever added to.
(1, t.recorded_at, true, '{}'::pg_catalog.jsonb)

-- name: data_requests
-- Asked, then answered.
(1, t.created_at, true, pg_catalog.jsonb_build_object('status', 'open', 'completed_at', null, 'reason', null)),
(2, t.completed_at, t.completed_at is not null, '{}')
