-- What happened to appeals in a span of time, for whoever keeps copies of them; of those that Open311 shows at all. What a body answered is told
-- to the client the appeal came with, and to everybody where its author agreed that it is public. appeal_event_by_time,
-- then the primary key of appeal; 700 events in 12 ms over HTTP. updates is null when the region has no services: no such jurisdiction.
-- $1 region, $2 language, $3 subject of the client's own appeals ('': none), $4 from, $5 before (microseconds UTC), $6 how many at most
with
found as (
    select
        e.appeal_id,
        e.seq,
        e.at,
        e.kind,
        e.detail ->> 'body' as body_ru,
        e.detail ->> 'answer' as answer,
        e.detail ->> 'proof' as proof,
        e.detail ->> 'reason' as reason,
        a.number,
        case when a.public or (a.client = $3::text and a.client <> '' and a.auth = 'api_key') then (
            select n.text
            from answer n
            where e.kind = 'answered'
              and n.region_id = e.region_id
              and n.appeal_id = e.appeal_id
              and n.seq = e.seq
        ) end as words
    from appeal_event e
    join appeal a
        on a.region_id = e.region_id
        and a.id = e.appeal_id
    where e.region_id = $1::smallint
      and e.at >= to_timestamp($4::bigint / 1000000.0)
      and e.at < to_timestamp($5::bigint / 1000000.0)
      and (a.status not in ('captured', 'moderation') or (a.client = $3::text and a.client <> '' and a.auth = 'api_key'))
    order by e.at, e.appeal_id, e.seq
    limit $6::integer
)
select
    case when exists (
        select
        from theme s
        where s.region_id = $1::smallint
          and s.active
    ) then (
        select coalesce(json_agg(
            json_build_object(
                'update_id', f.number || '.' || f.seq,
                'service_request_id', f.number,
                'status', case f.kind
                    when 'captured' then 'open'
                    when 'moderation' then 'for_triage'
                    when 'routed' then 'investigating'
                    when 'accepted' then 'in_progress'
                    when 'answered' then case
                        when f.answer = 'interim' and f.proof = 'promise' then 'action_scheduled'
                        when f.answer = 'interim' then 'in_progress'
                        when f.proof = 'files' then 'fixed'
                        when f.proof = 'promise' then 'action_scheduled'
                        else 'no_further_action'
                    end
                    when 'closed' then 'closed'
                    when 'reopened' then 'reopen'
                    when 'rejected' then case f.reason when 'duplicate' then 'duplicate' else 'no_further_action' end
                    when 'postponed' then 'planned'
                    when 'redirected' then 'internal_referral'
                    else 'unchanged'
                end,
                'updated_datetime', to_char(f.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'description', coalesce(f.words, case $2::text
                    when 'en' then case f.kind
                        when 'captured' then 'Received.'
                        when 'moderation' then 'A moderator is looking at it.'
                        when 'routed' then coalesce('Passed on to: ' || coalesce(b.name_en, f.body_ru) || '.', 'Passed on.')
                        when 'accepted' then 'Taken in hand.'
                        when 'answered' then case f.answer when 'final' then 'Answered.' else 'Interim answer.' end
                        when 'verdict' then 'Marked by the resident.'
                        when 'closed' then 'Closed: the resident says that it is solved.'
                        when 'reopened' then 'Opened again: the resident says that it is not solved.'
                        when 'rejected' then 'Rejected.'
                        when 'postponed' then 'Postponed.'
                        when 'redirected' then 'Handed back to the centre.'
                        when 'released' then 'A moderator has read it.'
                        when 'edited' then 'Its author has changed it where it was written.'
                        when 'source_deleted' then 'Its author has deleted it where it was written.'
                        when 'source_restored' then 'Its author has restored it where it was written.'
                        when 'attached' then 'Files were added.'
                        when 'joined' then 'Another resident has joined.'
                        else f.kind
                    end
                    else case f.kind
                        when 'captured' then 'Принято.'
                        when 'moderation' then 'На проверке у модератора.'
                        when 'routed' then coalesce('Передано: ' || f.body_ru || '.', 'Передано.')
                        when 'accepted' then 'Взято в работу.'
                        when 'answered' then case f.answer when 'final' then 'Дан ответ.' else 'Промежуточный ответ.' end
                        when 'verdict' then 'Житель оценил ответ.'
                        when 'closed' then 'Закрыто: житель подтвердил, что проблема решена.'
                        when 'reopened' then 'Открыто заново: житель сообщил, что проблема не решена.'
                        when 'rejected' then 'Отклонено.'
                        when 'postponed' then 'Отложено.'
                        when 'redirected' then 'Возвращено в центр.'
                        when 'released' then 'Модератор прочитал.'
                        when 'edited' then 'Автор изменил текст там, где написал.'
                        when 'source_deleted' then 'Автор удалил сообщение там, где написал.'
                        when 'source_restored' then 'Автор восстановил сообщение там, где написал.'
                        when 'attached' then 'Приложены файлы.'
                        when 'joined' then 'Присоединился ещё один житель.'
                        else f.kind
                    end
                end),
                'media_url', null
            )
            order by f.at, f.appeal_id, f.seq
        ), '[]')
        from found f
        left join body b
            on b.region_id = $1::smallint
            and b.name_ru = f.body_ru
    ) end::text as updates,
    (select count(f.seq) from found f) as events;
