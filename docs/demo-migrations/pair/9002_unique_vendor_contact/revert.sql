drop index public.wedding_vendors_contact_key;
