{# `value` as a double. #}
{% macro as_double(value) -%}
    cast({{ value }} as {{ adapter.dispatch('type_double', 'customer_loyalty')() }})
{%- endmacro %}

{% macro default__type_double() -%}
    double precision
{%- endmacro %}

{% macro spark__type_double() -%}
    double
{%- endmacro %}

{#
    `amount` and `rate` as factors of an exact product of 14 decimals. They are as wide as the engine lets them be: of
    narrower ones DuckDB would hold the product in 18 digits.
#}
{% macro exact_product(amount, rate) -%}
    {{ return(adapter.dispatch('exact_product', 'customer_loyalty')(amount, rate)) }}
{%- endmacro %}

{% macro default__exact_product(amount, rate) -%}
    cast(cast({{ amount }} as decimal(38, 4)) * cast({{ rate }} as decimal(38, 10)) as decimal(38, 14))
{%- endmacro %}

{# Spark's product has as many digits as both factors, and loses decimals where these are more than 38. #}
{% macro spark__exact_product(amount, rate) -%}
    cast({{ amount }} as decimal(19, 4)) * cast({{ rate }} as decimal(18, 10))
{%- endmacro %}

{# A difference of amounts, of 14 decimals each, with as many. Of two of 38 digits Spark's difference would lose one. #}
{% macro exact_difference(left, right) -%}
    {{ return(adapter.dispatch('exact_difference', 'customer_loyalty')(left, right)) }}
{%- endmacro %}

{% macro default__exact_difference(left, right) -%}
    {{ left }} - {{ right }}
{%- endmacro %}

{% macro spark__exact_difference(left, right) -%}
    cast({{ left }} as decimal(37, 14)) - cast({{ right }} as decimal(37, 14))
{%- endmacro %}

{# Text to order by: by its bytes, as DuckDB does, not by a language's alphabet. #}
{% macro in_byte_order(text) -%}
    {{ return(adapter.dispatch('in_byte_order', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro default__in_byte_order(text) -%}
    {{ text }}
{%- endmacro %}

{% macro postgres__in_byte_order(text) -%}
    {{ text }} collate "C"
{%- endmacro %}

{#
    A condition of a join: two values of one kind are the same, NULL and NULL included. By `is not distinct from`
    PostgreSQL compares every row with every other one; equal arrays, whose NULLs are equal too, it finds by their hashes.
#}
{% macro is_same(left, right) -%}
    {{ return(adapter.dispatch('is_same', 'customer_loyalty')(left, right)) }}
{%- endmacro %}

{% macro default__is_same(left, right) -%}
    {{ left }} is not distinct from {{ right }}
{%- endmacro %}

{% macro postgres__is_same(left, right) -%}
    array[cast({{ left }} as text)] = array[cast({{ right }} as text)]
{%- endmacro %}

{#
    Hook of each model: lets the engine know how many rows a new table has. PostgreSQL guesses until its autovacuum comes
    by, and joins what it takes for small row by row.
#}
{% macro gather_statistics() -%}
    {{ return(adapter.dispatch('gather_statistics', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__gather_statistics() -%}
{%- endmacro %}

{% macro postgres__gather_statistics() -%}
    {%- if config.get('materialized') == 'table' -%}
    analyze {{ this }}
    {%- endif -%}
{%- endmacro %}

{#
    An aggregate: the texts of a group, joined by `separator` (a text expression).
    order_by: expressions that they are ordered by, ascending. where: a condition on the rows that count.
#}
{% macro joined_text(text, separator, order_by, where='true') -%}
    {{ return(adapter.dispatch('joined_text', 'customer_loyalty')(text, separator, order_by, where)) }}
{%- endmacro %}

{% macro default__joined_text(text, separator, order_by, where) -%}
    listagg(case when {{ where }} then {{ text }} end, {{ separator }}) within group (order by {{ order_by | join(', ') }})
{%- endmacro %}

{% macro duckdb__joined_text(text, separator, order_by, where) -%}
    string_agg({{ text }}, {{ separator }} order by {{ order_by | join(', ') }})
    {%- if where != 'true' %} filter (where {{ where }}){% endif %}
{%- endmacro %}

{% macro postgres__joined_text(text, separator, order_by, where) -%}
    {{ duckdb__joined_text(text, separator, order_by, where) }}
{%- endmacro %}

{# NULL where no row counts. #}
{% macro spark__joined_text(text, separator, order_by, where) -%}
    nullif(
        array_join(
            transform(
                array_sort(collect_list(case when {{ where }} and {{ text }} is not null then struct(
                    {%- for expression in order_by %}{{ expression }} as key_{{ loop.index }}, {% endfor -%}
                    {{ text }} as text
                ) end)),
                one -> one.text
            ),
            {{ separator }}
        ),
        ''
    )
{%- endmacro %}

{# The place of a row in a table as it was loaded, from 1; NULL where the engine has no such notion. #}
{% macro loaded_row_number() -%}
    {{ return(adapter.dispatch('loaded_row_number', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__loaded_row_number() -%}
    cast(null as bigint)
{%- endmacro %}

{% macro duckdb__loaded_row_number() -%}
    row_number() over ()
{%- endmacro %}

{% macro postgres__loaded_row_number() -%}
    row_number() over (order by ctid)
{%- endmacro %}

{# `value` as a literal of SQL text; NULL where it is none. #}
{% macro text_literal(value) -%}
    {%- if value is none -%}
    cast(null as {{ dbt.type_string() }})
    {%- else -%}
    {{ return(adapter.dispatch('text_literal', 'customer_loyalty')(value | string)) }}
    {%- endif -%}
{%- endmacro %}

{% macro default__text_literal(value) -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(value)) }}
{%- endmacro %}

{% macro spark__text_literal(value) -%}
    {#- A dollar could begin ${env:…}, which Spark replaces in literals too. -#}
    {{ dbt.string_literal(dbt.escape_single_quotes(value | replace('\\', '\\\\')) | replace('$', '\\u0024')) }}
{%- endmacro %}

{# A hook's statement that ends the model with the text of the first row of `query`, if it has any. #}
{% macro refuse_with(query) -%}
    {{ return(adapter.dispatch('refuse_with', 'customer_loyalty')(query)) }}
{%- endmacro %}

{% macro default__refuse_with(query) -%}
    {%- for row in run_query(query).rows -%}
        {%- do exceptions.raise_database_error(row[0]) -%}
    {%- endfor -%}
{%- endmacro %}

{# Where the engine itself refuses, dbt adds no lines on macros. #}
{% macro duckdb__refuse_with(query) -%}
    select error(refusal.text)
    from (
        {{ query }}
    ) as refusal
{%- endmacro %}

{# Statements that keep the rows of `query` as a table `name` of this connection alone. #}
{% macro remember(name, query) -%}
    {{ return(adapter.dispatch('remember', 'customer_loyalty')(name, query)) }}
{%- endmacro %}

{% macro default__remember(name, query) -%}
    create or replace temporary table {{ name }} as
    {{ query }}
{%- endmacro %}

{% macro postgres__remember(name, query) -%}
    drop table if exists pg_temp.{{ name }};
    create temporary table {{ name }} as
    {{ query }}
{%- endmacro %}

{% macro spark__remember(name, query) -%}
    create or replace temporary view {{ name }} as
    {{ query }}
{%- endmacro %}

{# Creates a view, in place of an older one. #}
{% macro replace_view(relation, query) -%}
    {%- call statement('replace_view') -%}
        {{ adapter.dispatch('replace_view', 'customer_loyalty')(relation, query) }}
    {%- endcall -%}
{%- endmacro %}

{% macro default__replace_view(relation, query) -%}
    create or replace view {{ relation }} as
    {{ query }}
{%- endmacro %}

{# "or replace" would refuse other columns. #}
{% macro postgres__replace_view(relation, query) -%}
    drop view if exists {{ relation }};
    create view {{ relation }} as
    {{ query }}
{%- endmacro %}

{# A statement that removes all rows of a table. #}
{% macro remove_all_rows(relation) -%}
    {{ return(adapter.dispatch('remove_all_rows', 'customer_loyalty')(relation)) }}
{%- endmacro %}

{% macro default__remove_all_rows(relation) -%}
    delete from {{ relation }}
{%- endmacro %}

{% macro spark__remove_all_rows(relation) -%}
    truncate table {{ relation }}
{%- endmacro %}

{# Where a table is, in words. #}
{% macro place_of(relation) -%}
    {{ return(adapter.dispatch('place_of', 'customer_loyalty')(relation)) }}
{%- endmacro %}

{% macro default__place_of(relation) -%}
    {{ relation.schema }}.{{ relation.identifier }}
{%- endmacro %}

{% macro duckdb__place_of(relation) -%}
    {{ relation.schema }}.{{ relation.identifier }} of {{ target.path }}
{%- endmacro %}

{% macro postgres__place_of(relation) -%}
    {{ relation.schema }}.{{ relation.identifier }} of {{ target.dbname }}
{%- endmacro %}

{# The complementary error function of x >= 0, to within 0.00000015. #}
{% macro erfc(x) -%}
    {{ return(adapter.dispatch('erfc', 'customer_loyalty')(x)) }}
{%- endmacro %}

{#
    Abramowitz, M. & Stegun, I. A. (1964), Handbook of Mathematical Functions, 7.1.26. The exponent has a floor because
    some engines fail where exp() falls below the least double.
#}
{% macro default__erfc(x) -%}
    {%- set t = '(1 / (1 + 0.3275911e0 * ' ~ x ~ '))' -%}
    (
        {{ t }} * (0.254829592e0 + {{ t }} * (-0.284496736e0 + {{ t }} * (
            1.421413741e0 + {{ t }} * (-1.453152027e0 + {{ t }} * 1.061405429e0)
        ))) * exp(-least({{ x }} * {{ x }}, 700))
    )
{%- endmacro %}
