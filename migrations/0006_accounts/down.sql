-- Undoes up.sql. Everybody is signed out. Invitations, API keys and slugs that merchants had are gone.

DO $do$
DECLARE
    added text;
BEGIN
    -- One that somebody has come to use stays.
    FOR added IN SELECT a.code FROM bastide.currency_added a LOOP
        BEGIN
            DELETE FROM public.currencies c WHERE c.code = added;
        EXCEPTION WHEN foreign_key_violation THEN
            NULL;
        END;
    END LOOP;
END
$do$;
DROP TABLE bastide.currency_added;

DROP FUNCTION bastide.api_key(text);
DROP TABLE public.api_keys;
DROP FUNCTION bastide.merchant_of_invitation(text);
DROP TABLE public.invitations;
DROP FUNCTION bastide.team_of();
DROP FUNCTION bastide.user_by_id(uuid);
DROP FUNCTION bastide.create_user(uuid, text, text, text);
REVOKE SELECT (name) ON public.users FROM bastide_owner;
DROP INDEX public.users_lower_email_idx;
REVOKE INSERT (id, email, name, password_hash) ON public.users FROM bastide_owner;
DROP FUNCTION bastide.create_merchant(text, text, text);
REVOKE INSERT (id, slug, name, currency) ON public.merchants FROM bastide_owner;
DROP FUNCTION bastide.slugs_taken(jsonb);
DROP FUNCTION bastide.slug_after(text);
DROP TRIGGER bastide_keep_slug ON public.merchants;
DROP FUNCTION bastide.keep_slug();
DROP TABLE bastide.slug_before;

DROP FUNCTION bastide.forget_attempts(text);
DROP FUNCTION bastide.count_attempt(text, integer, integer);
DROP FUNCTION bastide.sessions_of(uuid);
DROP FUNCTION bastide.revoke_by_token(text);
DROP FUNCTION bastide.revoke_session(uuid, uuid, text);
DROP FUNCTION bastide.rotate_session(text, text, integer);
DROP FUNCTION bastide.issue_session(uuid, uuid, uuid, text, integer, text, text);
DROP TABLE bastide.operator_act;
DROP TABLE bastide.attempt;
DROP TABLE bastide.refresh_token;
DROP TABLE bastide.session;
