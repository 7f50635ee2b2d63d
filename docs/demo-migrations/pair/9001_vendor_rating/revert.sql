drop table public.vendor_ratings;
