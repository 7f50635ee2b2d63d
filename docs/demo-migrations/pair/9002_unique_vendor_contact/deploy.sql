-- requires: 0005_access
-- Messages to a supplier go by the contact: two suppliers of one wedding with the same one would read each other's.
create unique index wedding_vendors_contact_key on public.wedding_vendors (wedding_id, contact_email);
