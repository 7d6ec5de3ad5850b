-- Each program may do what its work needs and nothing else: the whole table of privileges, then the same by trying.
begin;

select plan(104);

-- What STATEMENT comes to when ROLE runs it: 'ok' or an SQLSTATE. Leaves nothing behind.
create function pg_temp.try_as(who name, statement text) returns text
language plpgsql as $$
begin
    execute format('set local role %I', who);
    execute statement;
    raise exception sqlstate 'OTK00';
exception
    when others then
        return case sqlstate when 'OTK00' then 'ok' else sqlstate end;
end $$;

create temp table program (name name primary key);
insert into program (name)
values ('otklik_admin'), ('otklik_courier'), ('otklik_intake'), ('otklik_pictures'), ('otklik_reporting'), ('otklik_routing');

-- ---- the roles themselves

select is_empty(
    $$
        select r.rolname
        from pg_roles r
        where r.rolname like 'otklik\_%'
          and (r.rolsuper or r.rolcreatedb or r.rolcreaterole or r.rolreplication or r.rolbypassrls)
    $$,
    'no role of ours may do more than its grants say'
);
select is_empty(
    $$
        select
            m.roleid::regrole,
            m.member::regrole
        from pg_auth_members m
        where m.member in (select oid from pg_roles where rolname like 'otklik\_%')
    $$,
    'no role of ours is a member of another'
);
select is_empty(
    $$select name from program where has_schema_privilege(name, 'otklik', 'create') or has_schema_privilege(name, 'public', 'create')$$,
    'no program may create anything in a schema'
);
select is_empty(
    $$select name from program where has_database_privilege(name, current_database(), 'create, temporary')$$,
    'no program may create schemas or temporary tables'
);
select is_empty(
    $$
        select c.oid::regclass::text
        from pg_class c
        where c.relnamespace = 'otklik'::regnamespace
          and c.relowner <> 'otklik_owner'::regrole
        union all
        select p.oid::regprocedure::text
        from pg_proc p
        where p.pronamespace = 'otklik'::regnamespace
          and p.proowner <> 'otklik_owner'::regrole
    $$,
    'everything in the schema belongs to otklik_owner'
);
select is_empty(
    $$select oid::regprocedure from pg_proc where pronamespace = 'otklik'::regnamespace and prosecdef$$,
    'no function lends the rights of its owner'
);

-- ---- the whole table of privileges

create temp table wanted (role name, relation name, privilege text);
insert into wanted (role, relation, privilege)
select
    w.role,
    r.relation,
    p.privilege
from (
    values
        ('otklik_admin', '{region}', '{select}'),
        ('otklik_admin', '{body,calendar_day,deadline_rule,municipality,routing_rule,theme}', '{select,insert,update,delete}'),
        ('otklik_admin', '{theme_attribute}', '{select,insert,update,delete}'),
        ('otklik_intake', '{region,municipality,body,theme,theme_attribute,deadline_rule}', '{select}'),
        ('otklik_admin', '{channel_account}', '{select,insert,update,delete}'),
        ('otklik_admin', '{delivery}', '{select}'),
        ('otklik_courier', '{region,body,appeal,appeal_event,hook_message,channel_account,subscription}', '{select}'),
        ('otklik_courier', '{outbox}', '{select,update,delete}'),
        ('otklik_courier', '{delivery}', '{select,insert}'),
        ('otklik_courier', '{contact_look}', '{insert}'),
        ('otklik_intake', '{appeal,appeal_event,attachment}', '{select,insert}'),
        ('otklik_intake', '{contact,consent,outbox,subscription,joiner_contact}', '{insert}'),
        ('otklik_intake', '{joiner}', '{select,insert}'),
        ('otklik_intake', '{place,place_name}', '{select}'),
        ('otklik_admin', '{place,place_name}', '{select,insert,update,delete}'),
        ('otklik_intake', '{channel_account,region_quota,sender_block}', '{select}'),
        ('otklik_intake', '{quota_use,text_repeat}', '{select,insert,update,delete}'),
        ('otklik_intake', '{hook_event}', '{select,insert,delete}'),
        ('otklik_intake', '{hook_message,answer,verdict}', '{select,insert}'),
        ('otklik_intake', '{idempotency}', '{select,insert,delete}'),
        ('otklik_intake', '{appeal_count}', '{select,insert,update}'),
        ('otklik_pictures', '{region,attachment}', '{select}'),
        ('otklik_routing', '{region,municipality,body,theme,deadline_rule,calendar_day,routing_rule}', '{select}'),
        ('otklik_routing', '{appeal,region_quota,text_repeat}', '{select}'),
        ('otklik_routing', '{quota_use}', '{select,delete}'),
        ('otklik_routing', '{sender_block}', '{select,insert}'),
        ('otklik_routing', '{desk_act}', '{insert}'),
        ('otklik_admin', '{region_quota}', '{select,update}'),
        ('otklik_routing', '{appeal_event}', '{select,insert}'),
        ('otklik_routing', '{outbox}', '{select,insert,update,delete}'),
        ('otklik_routing', '{appeal_count}', '{select,insert,update}'),
        ('otklik_reporting', '{region,municipality,body,theme,deadline_rule,appeal_count}', '{select}')
) as w (role, relations, privileges)
cross join unnest(w.relations::name[]) as r (relation)
cross join unnest(w.privileges::text[]) as p (privilege);

select set_eq(
    $$
        select
            g.name,
            c.relname,
            p.privilege
        from program g
        cross join pg_class c
        cross join unnest('{select,insert,update,delete,truncate,references,trigger}'::text[]) as p (privilege)
        where c.relnamespace = 'otklik'::regnamespace
          and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and has_table_privilege(g.name, c.oid, p.privilege)
    $$,
    'table wanted',
    'the programs have these privileges on these tables, and no others'
);
select set_eq(
    $$
        select
            g.name,
            c.relname || '.' || a.attname
        from program g
        cross join pg_class c
        join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'otklik'::regnamespace
          and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and a.attnum > 0
          and not a.attisdropped
          and (
              has_column_privilege(g.name, c.oid, a.attnum, 'select') and not has_table_privilege(g.name, c.oid, 'select')
              or has_column_privilege(g.name, c.oid, a.attnum, 'insert') and not has_table_privilege(g.name, c.oid, 'insert')
              or has_column_privilege(g.name, c.oid, a.attnum, 'update') and not has_table_privilege(g.name, c.oid, 'update')
          )
    $$,
    $$
        select
            w.role::name,
            w.relation || '.' || c.name
        from (
            values
                (
                    'otklik_routing', 'appeal',
                    '{status,theme_id,theme_source,municipality_id,body_id,deadline_rule_id,first_due_at,final_due_at,due_detail,
                    routed_at,last_seq,last_hash,hold}'
                ),
                ('otklik_admin', 'delivery', '{state,attempts,not_before}'),
                ('otklik_courier', 'delivery', '{state,attempts,not_before,error,sent_at}'),
                ('otklik_intake', 'subscription', '{region_id,appeal_id,id,state,author,code_digest,changed_at}'),
                ('otklik_routing', 'sender_block', '{lifted_by,lifted_at}'),
                (
                    'otklik_intake', 'appeal',
                    '{attachments,joined,last_seq,last_hash,notify,status,body_id,first_answered_at,answered_at,postponed_until,reopened,
                    reopened_at,reopened_seq,answer_seq,mark,earlier_due,first_due_at,final_due_at,due_detail}'
                ),
                ('otklik_intake', 'answer', '{files}'),
                ('otklik_admin', 'region', '{verdict_days}'),
                (
                    'otklik_intake', 'hook_event',
                    '{state,attempts,not_before,outcome,reason,appeal_id,error,finished_at,raw,text}'
                ),
                (
                    'otklik_pictures', 'attachment',
                    '{state,not_before,attempts,reason,clean_type,clean_size,width,height,taken_local,taken_point}'
                ),
                ('otklik_admin', 'attachment', '{region_id,id,size,sha256,state,clean_size,not_before}')
        ) as w (role, relation, names)
        cross join unnest(w.names::text[]) as c (name)
    $$,
    'single columns: what may be changed or seen of a table, never what was written'
);
select set_eq(
    $$
        select
            g.name as role,
            c.relname as relation
        from program g
        cross join pg_class c
        where c.relnamespace = 'otklik'::regnamespace
          and c.relkind = 'S'
          and has_sequence_privilege(g.name, c.oid, 'usage, select, update')
    $$,
    $$
        select
            'otklik_admin'::name as role,
            'dictionary_id'::name as relation
        union all
        select
            'otklik_courier',
            'contact_look_id'
        union all
        select
            'otklik_intake',
            'outbox_id'
        union all
        select
            'otklik_routing',
            'outbox_id'
        union all
        select
            'otklik_intake',
            format('appeal_serial_%s', id)
        from region
    $$,
    'sequences: intake numbers appeals, intake and routing what follows, the courier its looks, the administrator dictionaries'
);
select is_empty(
    $$
        select c.oid::regclass
        from pg_class c
        cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'otklik'::regnamespace
          and a.grantee = 0
    $$,
    'nothing is granted to everybody'
);
select is_empty(
    $$select name from program where has_function_privilege(name, 'otklik.make_partitions(date, integer)', 'execute')$$,
    'only the owner makes partitions'
);

-- ---- the same by trying; one appeal of each kind to try it on

insert into appeal (
    region_id, id, number, code_digest, channel, status, lang, auth, client, client_hash, request_id, received_at, text, last_seq, last_hash
)
values (
    90, '019a0000-0000-7000-8000-000000000001', '90-2026-0000000-0', '\x00', 'web_form', 'captured', 'ru', 'anonymous', '', '', '',
    '2026-11-24T00:00:00Z', 'Темно', 1, '\x00'
);
insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
values (90, '019a0000-0000-7000-8000-000000000001', 1, '2026-11-24T00:00:00Z', 'captured', '', '{}', '', '\x00');
insert into contact (region_id, appeal_id, name)
values (90, '019a0000-0000-7000-8000-000000000001', 'Житель');
insert into consent (region_id, appeal_id, version, lang, given_at)
values (90, '019a0000-0000-7000-8000-000000000001', '1', 'ru', '2026-11-24T00:00:00Z');
insert into outbox (region_id, topic, appeal_id, not_before)
values (90, 'test', '019a0000-0000-7000-8000-000000000001', '2026-11-24T00:00:00Z');
insert into appeal (
    region_id, id, number, code_digest, channel, status, lang, auth, client, client_hash, request_id, received_at, text, last_seq, last_hash
)
values (
    90, '019a0000-0000-7000-8000-000000000002', '90-2026-0000001-0', '\x00', 'web_form', 'captured', 'ru', 'anonymous', '', '', '',
    '2026-11-24T00:00:00Z', 'Скользко', 1, '\x00'
);

select is(pg_temp.try_as(t.who, t.statement), t.outcome, t.says)
from (
    values
        ('otklik_intake', 'select count(*) from appeal', 'ok', 'intake shows appeals'),
        (
            'otklik_intake',
            $$insert into contact (region_id, appeal_id, name) values (90, '019a0000-0000-7000-8000-000000000002', 'Житель')$$,
            'ok', 'intake writes a contact down'
        ),
        ('otklik_intake', 'select name from contact', '42501', 'intake cannot read a contact'),
        ('otklik_intake', 'select count(*) from contact', '42501', 'intake cannot even count contacts'),
        (
            'otklik_intake',
            $$insert into contact (region_id, appeal_id) values (90, '019a0000-0000-7000-8000-000000000002') returning name$$,
            '42501', 'intake cannot read back the contact it writes'
        ),
        ('otklik_intake', 'update contact set name = null', '42501', 'intake cannot change a contact'),
        ('otklik_intake', 'delete from contact', '42501', 'intake cannot delete a contact'),
        ('otklik_intake', 'select version from consent', '42501', 'intake cannot read a consent'),
        ('otklik_intake', $$update appeal set text = ''$$, '42501', 'intake cannot change an appeal'),
        ('otklik_intake', 'delete from appeal', '42501', 'intake cannot delete an appeal'),
        ('otklik_intake', $$update appeal_event set detail = '{}'$$, '42501', 'intake cannot change an event'),
        ('otklik_intake', 'delete from appeal_event', '42501', 'intake cannot delete an event'),
        (
            'otklik_intake',
            $$
                insert into subscription (region_id, appeal_id, id, channel, address, lang, asked_at)
                values (
                    90, '019a0000-0000-7000-8000-000000000002', '019a0000-0000-7000-8000-000000000002', 'email', 'a@example.org', 'ru',
                    '2026-11-24T00:00:00Z'
                )
            $$,
            'ok', 'intake writes a subscription down'
        ),
        ('otklik_intake', 'select address from subscription', '42501', 'intake cannot read a subscription'),
        ('otklik_routing', 'select address from subscription', '42501', 'nor can routing'),
        (
            'otklik_intake',
            $$
                with one as (
                    insert into joiner (region_id, appeal_id, id, code_digest, client, auth, client_hash, lang, joined_at)
                    values (
                        90, '019a0000-0000-7000-8000-000000000001', '019a0000-0000-7000-8000-000000000003', '\x00', '',
                        'anonymous', '', 'ru', now()
                    )
                )
                insert into joiner_contact (region_id, appeal_id, id, name, consent)
                values (90, '019a0000-0000-7000-8000-000000000001', '019a0000-0000-7000-8000-000000000003', 'Житель', '1')
            $$,
            'ok', 'intake writes down who joined'
        ),
        ('otklik_intake', 'select name from joiner_contact', '42501', 'and cannot read the contact'),
        ('otklik_intake', 'delete from joiner', '42501', 'nor take a joiner away'),
        ('otklik_routing', 'select count(*) from joiner', '42501', 'routing cannot see who joined'),
        ('otklik_reporting', 'select count(*) from joiner_contact', '42501', 'nor can reporting'),
        ('otklik_intake', 'delete from place', '42501', 'intake cannot change the gazetteer'),
        ('otklik_admin', 'select code_digest from joiner', '42501', 'the administrator cannot see who joined'),
        ('otklik_intake', 'select id from outbox', '42501', 'intake cannot read the outbox'),
        ('otklik_intake', 'delete from outbox', '42501', 'intake cannot take from the outbox'),
        ('otklik_intake', 'select count(*) from appeal_rest', '42501', 'intake cannot go round appeal to a partition'),
        ('otklik_intake', $$update theme set active = false$$, '42501', 'intake cannot change a dictionary'),
        ('otklik_intake', 'select setval(''appeal_serial_90'', 1)', '42501', 'intake cannot set the serial back'),
        ('otklik_intake', 'select nextval(''appeal_serial_90'')', 'ok', 'intake takes a serial'),
        ('otklik_intake', 'update appeal set last_seq = 2 where region_id = 90', 'ok', 'intake appends to the history of an appeal'),
        ('otklik_intake', $$update appeal set status = 'accepted' where region_id = 90$$, 'ok', 'intake writes down what a body says'),
        ('otklik_intake', $$update answer set text = ''$$, '42501', 'intake cannot change an answer'),
        ('otklik_intake', 'update verdict set mark = 5', '42501', 'intake cannot change a verdict'),
        ('otklik_routing', 'select count(*) from answer', '42501', 'routing cannot read answers'),
        ('otklik_intake', $$update hook_event set event_id = ''$$, '42501', 'intake cannot make an event another one'),
        ('otklik_intake', $$update channel_account set mode = 'answer'$$, '42501', 'intake cannot switch an account'),
        ('otklik_routing', 'select count(*) from hook_event', '42501', 'routing cannot read events of networks'),
        ('otklik_reporting', 'select count(*) from hook_message', '42501', 'reporting cannot see who wrote where'),
        ('otklik_admin', 'select count(*) from hook_event', '42501', 'the administrator cannot read events of networks'),

        ('otklik_routing', $$select text from appeal where region_id = 90 for no key update$$, 'ok', 'routing reads and locks appeals'),
        ('otklik_routing', $$update appeal set status = 'routed' where region_id = 90$$, 'ok', 'routing moves an appeal on'),
        ('otklik_routing', $$update appeal set text = ''$$, '42501', 'routing cannot change what was written'),
        ('otklik_routing', 'update appeal set region_id = 78', '42501', 'routing cannot move an appeal to another region'),
        ('otklik_routing', 'update appeal set received_at = now()', '42501', 'routing cannot change when an appeal came'),
        ('otklik_routing', 'delete from appeal', '42501', 'routing cannot delete an appeal'),
        (
            'otklik_routing',
            $$insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
              values (90, '019a0000-0000-7000-8000-000000000001', 2, '2026-11-24T00:00:01Z', 'routed', 'routing', '{}', '\x00', '\x01')$$,
            'ok', 'routing appends an event'
        ),
        ('otklik_routing', $$update appeal_event set detail = '{}'$$, '42501', 'routing cannot change an event'),
        ('otklik_routing', 'delete from appeal_event', '42501', 'routing cannot delete an event'),
        ('otklik_routing', 'truncate appeal_event', '42501', 'routing cannot empty the events'),
        ('otklik_routing', 'select count(*) from contact', '42501', 'routing cannot read contacts'),
        (
            'otklik_routing',
            $$insert into contact (region_id, appeal_id) values (90, '019a0000-0000-7000-8000-000000000002')$$,
            '42501', 'routing cannot write contacts'
        ),
        ('otklik_routing', 'delete from contact', '42501', 'routing cannot delete contacts'),
        ('otklik_routing', 'select count(*) from consent', '42501', 'routing cannot read consents'),
        ('otklik_routing', $$delete from outbox where region_id = 90$$, 'ok', 'routing empties the outbox'),
        ('otklik_routing', 'select count(*) from idempotency', '42501', 'routing cannot read first answers'),
        ('otklik_routing', 'update deadline_rule set final_amount = 1000', '42501', 'routing cannot stretch a deadline rule'),

        ('otklik_intake', 'update appeal set attachments = 1 where region_id = 90', 'ok', 'intake counts the files of an appeal'),
        ('otklik_intake', $$update appeal set received_at = now()$$, '42501', 'intake cannot change when an appeal came'),
        ('otklik_intake', $$update attachment set state = 'ready'$$, '42501', 'intake cannot say that a file may be shown'),
        ('otklik_intake', 'delete from attachment', '42501', 'intake cannot delete a file'),

        ('otklik_pictures', $$update attachment set state = 'ready' where region_id = 90$$, 'ok', 'pictures says that a file may be shown'),
        ('otklik_pictures', $$update attachment set sha256 = ''$$, '42501', 'pictures cannot change what came'),
        ('otklik_pictures', 'delete from attachment', '42501', 'pictures cannot delete a file'),
        ('otklik_pictures', 'select count(*) from appeal', '42501', 'pictures cannot see an appeal'),
        ('otklik_pictures', 'select count(*) from appeal_event', '42501', 'pictures cannot see an event'),
        ('otklik_pictures', 'select count(*) from contact', '42501', 'pictures cannot see a contact'),
        ('otklik_courier', 'select address from subscription where region_id = 90', 'ok', 'the courier reads who wants notices'),
        ('otklik_courier', 'select count(*) from contact', '42501', 'the courier cannot see a contact that nobody gave for notices'),
        ('otklik_courier', 'delete from contact_look', '42501', 'the courier cannot delete who looked'),
        ('otklik_courier', $$update appeal set text = ''$$, '42501', 'the courier cannot change an appeal'),
        ('otklik_courier', $$update delivery set appeal_id = null$$, '42501', 'the courier cannot make a notice another'),
        ('otklik_intake', 'select address from subscription where region_id = 90', '42501', 'intake cannot read an address'),
        ('otklik_routing', 'select id from subscription where region_id = 90', '42501', 'routing cannot see who wants notices'),

        ('otklik_reporting', 'select sum(received) from appeal_count', 'ok', 'reporting reads the counters'),
        ('otklik_reporting', 'select count(*) from appeal', '42501', 'reporting cannot see an appeal'),
        ('otklik_reporting', 'select count(*) from appeal_event', '42501', 'reporting cannot see an event'),
        ('otklik_reporting', 'select count(*) from contact', '42501', 'reporting cannot see a contact'),
        ('otklik_reporting', 'select count(*) from consent', '42501', 'reporting cannot see a consent'),
        ('otklik_reporting', 'select count(*) from idempotency', '42501', 'reporting cannot see first answers'),
        ('otklik_reporting', 'update appeal_count set received = 0', '42501', 'reporting cannot change a counter'),

        ('otklik_admin', $$update theme set active = false where region_id = 90$$, 'ok', 'the administrator keeps the dictionaries'),
        ('otklik_admin', $$update attachment set state = 'lost' where region_id = 90$$, 'ok', 'the administrator marks a file as lost'),
        ('otklik_admin', 'select name from attachment', '42501', 'the administrator cannot read what a file is called'),
        ('otklik_admin', 'select count(*) from appeal', '42501', 'the administrator cannot read appeals'),
        ('otklik_admin', 'select count(*) from appeal_event', '42501', 'the administrator cannot read events'),
        ('otklik_admin', 'select count(*) from contact', '42501', 'the administrator cannot read contacts'),
        ('otklik_admin', $$update region set time_zone = 'UTC'$$, '42501', 'the administrator cannot change the regions'),
        ('otklik_admin', 'select make_partitions(''2099-01-01'', 1)', '42501', 'the administrator cannot make partitions')
) as t (who, statement, outcome, says);

select is(pg_temp.try_as(name, 'alter table otklik.appeal add column note text'), '42501', name || ' cannot alter a table')
from program;

select finish();
rollback;
