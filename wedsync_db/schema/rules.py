"""The rules a catalog is checked by: what each found object is told, and what to do about it.

A rule `rls-disabled` is answered by the query `rls_disabled` of sql/schema_checks.sql, which also says why it is asked.
The rules about policies and about definer functions need more than a query; they are decided in `policies` and
`definers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

from wedsync_db.model import Finding, Severity

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Rule:
    """How much a finding weighs, what is wrong (`{detail}` is the query's), and what to do about `{object}`."""

    severity: Severity
    message: str
    hint: str

    def finding(self, name: str, object_: str, detail: str = "", excerpt: str = "") -> Finding:
        """What this rule says about one object; its name begins the message."""
        known = {"object": object_, "detail": detail}
        message, hint = self.message.format_map(known), self.hint.format_map(known)
        return Finding(name, self.severity, f"{object_}: {message}", hint, excerpt=excerpt)


# -- answered by the query of the same name ----------------------------------------------------------------------------
QUERIED: Mapping[LiteralString, Rule] = {
    "rls-disabled": Rule(
        _ERROR,
        "row-level security is off in a schema the API reaches",
        "ALTER TABLE {object} ENABLE ROW LEVEL SECURITY",
    ),
    "partition-open": Rule(
        _ERROR,
        "a partition of a protected table, {detail}: asked by its own name it answers without the parent's policies",
        "ALTER TABLE {object} ENABLE ROW LEVEL SECURITY; REVOKE ALL ON {object} FROM everybody",
    ),
    "rls-forced": Rule(
        _WARNING,
        "row-level security is forced upon its owner {detail}, who cannot bypass it: its backups would be empty",
        "ALTER TABLE {object} NO FORCE ROW LEVEL SECURITY, or ALTER ROLE {detail} BYPASSRLS",
    ),
    "rls-without-policy": Rule(_NOTE, "row-level security without a policy: only its owner sees rows", "Fine if meant"),
    "policy-without-rls": Rule(
        _ERROR,
        "it has policies ({detail}), but row-level security is off",
        "ALTER TABLE {object} ENABLE ROW LEVEL SECURITY",
    ),
    "api-role-unsafe": Rule(
        _ERROR,
        "a role of the API {detail}",
        "Requests reach it by SET ROLE alone: NOLOGIN, no attributes, member of nothing",
    ),
    "api-role-owner": Rule(
        _ERROR, "owned by {detail}, a role of the API", "ALTER TABLE {object} OWNER TO the deployer"
    ),
    "schema-create": Rule(
        _ERROR, "{detail} may create objects in it", "REVOKE CREATE ON SCHEMA {object} FROM {detail}"
    ),
    "grant-beyond-rows": Rule(
        _ERROR, "granted what row-level security does not limit: {detail}", "REVOKE it: TRUNCATE asks no policy"
    ),
    "grant-to-public": Rule(_ERROR, "granted to PUBLIC: {detail}", "REVOKE ALL ON it FROM PUBLIC; grant by name"),
    "grant-option": Rule(_ERROR, "may be granted on: {detail}", "REVOKE GRANT OPTION FOR it"),
    "grant-without-policy": Rule(
        _WARNING, "granted, and no policy lets in: {detail}", "REVOKE it until there is a policy for it"
    ),
    "grant-missing": Rule(_WARNING, "{detail} has no grant for what it lets in", "GRANT it, or DROP POLICY"),
    "anon-writes": Rule(_WARNING, "anon has {detail}", "Let the platform's server side write what strangers send"),
    "sequence-grant": Rule(_WARNING, "a sequence that {detail} may use counts every tenant's rows", "Use uuid keys"),
    "tenant-updatable": Rule(
        _ERROR,
        "{detail} may update the tenant column",
        "GRANT UPDATE on the other columns by name: a row that moves carries its contents into another tenant",
    ),
    "tenant-movable": Rule(
        _WARNING,
        "{detail} may update the tenant column and no trigger refuses",
        "CREATE TRIGGER … BEFORE UPDATE OF it … FOR EACH ROW, refusing",
    ),
    "foreign-key-without-tenant": Rule(
        _ERROR,
        "nothing keeps child and parent in the same tenant",
        "FOREIGN KEY ({detail}, …) REFERENCES the parent's unique key that begins with {detail}",
    ),
    "unique-without-tenant": Rule(
        _WARNING,
        "unique over all tenants: ({detail}); whoever writes it learns what others have",
        "Put the tenant column into the key",
    ),
    "foreign-key-unindexed": Rule(
        _WARNING,
        "no index leads with ({detail}): a change of the parent reads the whole table",
        "CREATE INDEX on ({detail})",
    ),
    "no-primary-key": Rule(_WARNING, "no primary key", "ALTER TABLE {object} ADD PRIMARY KEY"),
    "index-duplicate": Rule(_WARNING, "the same index twice", "DROP INDEX CONCURRENTLY one of them"),
    "index-unused": Rule(
        _NOTE, "an index that was never read", "DROP INDEX CONCURRENTLY, once a busy month confirms it"
    ),
    "index-invalid": Rule(
        _ERROR,
        "an invalid index, as a failed CREATE INDEX CONCURRENTLY leaves it",
        "DROP INDEX CONCURRENTLY {object}, and again",
    ),
    "constraint-not-valid": Rule(
        _WARNING, "a constraint that was never validated", "ALTER TABLE … VALIDATE CONSTRAINT"
    ),
    "trigger-disabled": Rule(_ERROR, "a disabled trigger", "ALTER TABLE … ENABLE TRIGGER"),
    "autovacuum-off": Rule(_WARNING, "autovacuum is off", "ALTER TABLE {object} RESET (autovacuum_enabled)"),
    "column-of-reg-type": Rule(_WARNING, "of type {detail}, which pg_upgrade refuses", "Store the name as text"),
    "extension-in-public": Rule(
        _WARNING, "an extension in schema public", "ALTER EXTENSION {object} SET SCHEMA extensions"
    ),
    "extension-outdated": Rule(_NOTE, "installed is {detail}", "ALTER EXTENSION {object} UPDATE"),
    "foreign-key-to-auth": Rule(
        _ERROR, "refers to a key of {detail} that is not its primary key", "Refer to the primary key: the others may go"
    ),
    "view-of-definer": Rule(
        _ERROR,
        "a view that {detail} may read shows its owner's rows",
        "ALTER VIEW {object} SET (security_invoker = true)",
    ),
    "relation-without-rls": Rule(
        _ERROR, "{detail} may read it, and it cannot have policies", "REVOKE ALL ON {object} FROM anon, authenticated"
    ),
    "auth-users-exposed": Rule(
        _ERROR, "{detail} may read a view of auth.users", "Copy what is public into a table of ours, with policies"
    ),
    "sensitive-column": Rule(
        _ERROR, "{detail} may read what opens a door", "GRANT SELECT on the other columns by name; keep hashes only"
    ),
    "function-search-path": Rule(
        _WARNING,
        "a function with its caller's search_path",
        "ALTER FUNCTION {object} SET search_path = pg_catalog, pg_temp",
    ),
    "function-public": Rule(
        _WARNING, "everybody may call it", "REVOKE ALL ON FUNCTION {object} FROM PUBLIC; grant by name"
    ),
    "default-privileges": Rule(
        _NOTE, "new objects are granted to {detail} by default", "Revoke all from them in each migration first"
    ),
}
