-- +goose Up

-- Fails a write that met another revision of its record than it names, or none.
-- The server must say so itself: the writes of an Update are sent together with
-- their COMMIT, which a failure makes it leave out.
-- +goose StatementBegin
CREATE FUNCTION cutover_stale(kind text, id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%/% has another revision', kind, id
        USING ERRCODE = 'AM001', TABLE = kind, DETAIL = id;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION cutover_stale;
