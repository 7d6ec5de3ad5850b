-- Counting who wants notices of an appeal, for who holds the appeal's row.

-- A function of its own, and volatile, because each statement within such a one sees what was committed by then: what is asked for while
-- it waits for the row would count as it stood before the wait.
create function subscriptions_now(region_id smallint, appeal_id uuid) returns setof uuid
language sql volatile
begin atomic
    select s.id
    from subscription s
    where s.region_id = subscriptions_now.region_id
      and s.appeal_id = subscriptions_now.appeal_id;
end;
