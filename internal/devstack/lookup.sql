-- FerretDB keeps a collection as a table with one column, _jsonb, and looks
-- documents up with _jsonb->'field' @> value, or _jsonb#>'{a,b}' @> value for a
-- dotted field. The indexes that it creates are B-trees, which cannot serve @>,
-- so every lookup by a field, _id included, would read the whole table.
--
-- Hence each of its indexes gets a GIN twin on the same fields, made in the same
-- transaction. FerretDB does not see the twins; dropping the table drops them.

CREATE SCHEMA IF NOT EXISTS _devstack;

-- field_path returns the path that an index expression follows, such as {a,b}
-- for ((_jsonb -> 'a'::text) -> 'b'::text).
CREATE OR REPLACE FUNCTION _devstack.field_path(expression text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(replace(part[1], '''''', '''') ORDER BY position)
	FROM regexp_matches(expression, '''((?:[^'']|'''')*)''::text', 'g')
		WITH ORDINALITY AS parts(part, position)
$$;

-- make_twin creates the GIN index for one field, unless it is there. The pending
-- list of a GIN index is searched from end to end, so there is to be none.
CREATE OR REPLACE FUNCTION _devstack.make_twin(collection regclass, path text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(
		'CREATE INDEX IF NOT EXISTS %I ON %s USING gin ((_jsonb %s) jsonb_path_ops) WITH (fastupdate = off)',
		'gin_' || md5(collection::oid || path::text),
		collection,
		CASE cardinality(path)
			WHEN 1 THEN format('-> %L', path[1])
			ELSE format('#> %L::text[]', path)
		END);
END
$$;

-- make_twins runs when an index was created.
CREATE OR REPLACE FUNCTION _devstack.make_twins() RETURNS event_trigger
LANGUAGE plpgsql AS $$
DECLARE
	field record;
BEGIN
	FOR field IN
		SELECT i.indrelid::regclass AS collection,
			_devstack.field_path(pg_get_indexdef(i.indexrelid, n, false)) AS path
		FROM pg_event_trigger_ddl_commands() AS command
		JOIN pg_index AS i ON i.indexrelid = command.objid
		JOIN pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'btree'
		JOIN pg_class AS t ON t.oid = i.indrelid AND t.relname <> '_ferretdb_database_metadata'
		JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attname = '_jsonb'
		CROSS JOIN generate_series(1, i.indnkeyatts) AS n
		WHERE command.classid = 'pg_class'::regclass AND command.object_type = 'index'
	LOOP
		IF field.path IS NOT NULL THEN
			PERFORM _devstack.make_twin(field.collection, field.path);
		END IF;
	END LOOP;
END
$$;

DROP EVENT TRIGGER IF EXISTS devstack_twins;
CREATE EVENT TRIGGER devstack_twins ON ddl_command_end
	WHEN TAG IN ('CREATE INDEX')
	EXECUTE FUNCTION _devstack.make_twins();
