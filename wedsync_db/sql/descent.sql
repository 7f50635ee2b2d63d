-- name: become_superuser
-- The same transaction, with eyes that see every row: scratch servers are logged in to as superuser.
reset session authorization; reset role; set local row_security = off
