-- What bodies answer, what the resident says of it, and the states an appeal passes after it was routed.

alter table appeal drop constraint appeal_status_check;
alter table appeal add constraint appeal_status_check check (
    status in ('captured', 'moderation', 'routed', 'accepted', 'answered', 'closed', 'rejected', 'postponed', 'redirected')
) not valid;
alter table appeal validate constraint appeal_status_check;

alter table appeal
    add column first_answered_at timestamptz,           -- stops the first clock; of this round
    add column answered_at timestamptz,                 -- stops the second one; of this round
    add column postponed_until date,
    add column reopened smallint not null default 0,    -- how often: a round more each time
    add column reopened_at timestamptz,                 -- the beginning of this round
    add column reopened_seq integer not null default 0, -- number of its event: what is later belongs to this round
    add column answer_seq integer,                      -- the final answer of this round …
    add column mark smallint check (mark between 1 and 5), -- … and its mark that counts
    add column earlier_due jsonb;                       -- deadlines of former rounds, the oldest first: they stay visible

-- For how long after a final answer its reader may mark it or open the appeal again.
alter table region add column verdict_days smallint not null default 30 check (verdict_days between 1 and 365);

create table answer (
    region_id   smallint not null,
    appeal_id   uuid not null,
    seq         integer not null,                       -- of its event
    kind        text not null check (kind in ('interim', 'final')),
    at          timestamptz not null,
    text        text not null,
    body_id     integer,
    account     text not null,                          -- subject of the key that brought it
    proof       text check (proof in ('files', 'promise', 'reason')),
    promised_on date,
    reason      text,
    media_url   text,                                   -- a link besides; it proves nothing, for it may vanish
    files       smallint not null default 0,            -- counted here, so that two at once cannot both bring the last one
    primary key (region_id, appeal_id, seq),
    foreign key (region_id, appeal_id) references appeal (region_id, id),
    foreign key (region_id, body_id) references body (region_id, id),
    check (kind <> 'final' or proof is not null),
    check (proof is distinct from 'promise' or promised_on is not null),
    check (proof is distinct from 'reason' or reason is not null)
);

-- One a step: a later one counts instead of an earlier one of the same answer, which stays.
create table verdict (
    region_id  smallint not null,
    appeal_id  uuid not null,
    seq        integer not null,                        -- of its event
    answer_seq integer not null,
    at         timestamptz not null,
    mark       smallint not null check (mark between 1 and 5),
    solved     boolean not null,
    comment    text,
    primary key (region_id, appeal_id, seq),
    foreign key (region_id, appeal_id, answer_seq) references answer (region_id, appeal_id, seq)
);

-- Proof: the file belongs to an answer, not to the letter.
alter table attachment add column answer_seq integer;
create index attachment_of_appeal on attachment (region_id, appeal_id, answer_seq) where answer_seq is not null;

-- Counted where the answer was given, under the day of reception. A mark that is replaced is taken out again.
alter table appeal_count
    add column answered bigint not null default 0,      -- final answers
    add column closed bigint not null default 0,
    add column reopened bigint not null default 0,
    add column marks bigint not null default 0,
    add column marks_sum bigint not null default 0;

-- intake writes down what bodies and residents say and moves the appeal on; routing counts the deadlines of a new round
grant select, insert on answer, verdict to otklik_intake;
grant update (
    status, body_id, first_answered_at, answered_at, postponed_until, reopened, reopened_at, reopened_seq, answer_seq, mark, earlier_due,
    first_due_at, final_due_at, due_detail
) on appeal to otklik_intake;
grant update (files) on answer to otklik_intake;
grant update (verdict_days) on region to otklik_admin;
