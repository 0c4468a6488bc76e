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
    The exact product of `amount` and `rate`, with 14 decimals. The factors are as wide as the engine allows: DuckDB
    would hold the product of narrower ones in 18 digits.
#}
{% macro exact_product(amount, rate) -%}
    {{ return(adapter.dispatch('exact_product', 'customer_loyalty')(amount, rate)) }}
{%- endmacro %}

{% macro default__exact_product(amount, rate) -%}
    cast(cast({{ amount }} as decimal(38, 4)) * cast({{ rate }} as decimal(38, 10)) as decimal(38, 14))
{%- endmacro %}

{# Spark's product has as many digits as both factors together, and loses decimals beyond 38 digits. #}
{% macro spark__exact_product(amount, rate) -%}
    cast({{ amount }} as decimal(19, 4)) * cast({{ rate }} as decimal(18, 10))
{%- endmacro %}

{# The exact difference of two amounts with 14 decimals. With 38 digits each, Spark's would lose a decimal. #}
{% macro exact_difference(left, right) -%}
    {{ return(adapter.dispatch('exact_difference', 'customer_loyalty')(left, right)) }}
{%- endmacro %}

{% macro default__exact_difference(left, right) -%}
    {{ left }} - {{ right }}
{%- endmacro %}

{% macro spark__exact_difference(left, right) -%}
    cast({{ left }} as decimal(37, 14)) - cast({{ right }} as decimal(37, 14))
{%- endmacro %}

{# Text as a sort key: ordered by its bytes, as in DuckDB, not by a language's alphabet. #}
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
    A join condition: two values of one type are the same, where NULL is the same as NULL. With `is not distinct from`
    PostgreSQL compares every row with every other; equal arrays, whose NULLs are equal too, it finds by hash.
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
    Hook of each model: gives the engine the statistics of a new table. Until autovacuum runs, PostgreSQL guesses, and
    joins what it takes for small tables row by row.
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
    order_by: expressions to order them by, ascending. where: a condition for the rows to include.
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

{# NULL where no row is included. #}
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

{# The number of a row in a table in the order of loading, from 1; NULL where the engine keeps no order. #}
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

{# A number that no two rows of a select share. #}
{% macro row_id() -%}
    {{ return(adapter.dispatch('row_id', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__row_id() -%}
    row_number() over ()
{%- endmacro %}

{# A window without an order would bring all rows to one machine. #}
{% macro spark__row_id() -%}
    monotonically_increasing_id()
{%- endmacro %}

{# `value` as a text literal of SQL; NULL for none. #}
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
    {#- A dollar sign could begin ${env:…}, which Spark substitutes even in literals. -#}
    {{ dbt.string_literal(dbt.escape_single_quotes(value | replace('\\', '\\\\')) | replace('$', '\\u0024')) }}
{%- endmacro %}

{# Statement of a hook: fails the model with the text in the first row of `query`, if any. #}
{% macro refuse_with(query) -%}
    {{ return(adapter.dispatch('refuse_with', 'customer_loyalty')(query)) }}
{%- endmacro %}

{% macro default__refuse_with(query) -%}
    {%- for row in run_query(query).rows -%}
        {%- do exceptions.raise_database_error(row[0]) -%}
    {%- endfor -%}
{%- endmacro %}

{# If the engine itself raises the error, dbt adds no lines about macros. #}
{% macro duckdb__refuse_with(query) -%}
    select error(refusal.text)
    from (
        {{ query }}
    ) as refusal
{%- endmacro %}

{# Statements that keep the rows of `query` in a table `name` that only this connection sees. #}
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

{# Creates or replaces a view. #}
{% macro replace_view(relation, query) -%}
    {%- call statement('replace_view') -%}
        {{ adapter.dispatch('replace_view', 'customer_loyalty')(relation, query) }}
    {%- endcall -%}
{%- endmacro %}

{% macro default__replace_view(relation, query) -%}
    create or replace view {{ relation }} as
    {{ query }}
{%- endmacro %}

{# "or replace" would fail where the columns have changed. #}
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

{# The location of a table, for messages. #}
{% macro table_location(relation) -%}
    {{ return(adapter.dispatch('table_location', 'customer_loyalty')(relation)) }}
{%- endmacro %}

{% macro default__table_location(relation) -%}
    {{ relation.schema }}.{{ relation.identifier }}
{%- endmacro %}

{% macro duckdb__table_location(relation) -%}
    {{ relation.schema }}.{{ relation.identifier }} of {{ target.path }}
{%- endmacro %}

{% macro postgres__table_location(relation) -%}
    {{ relation.schema }}.{{ relation.identifier }} of {{ target.dbname }}
{%- endmacro %}

{# The complementary error function of x >= 0, to within 0.00000015. #}
{% macro erfc(x) -%}
    {{ return(adapter.dispatch('erfc', 'customer_loyalty')(x)) }}
{%- endmacro %}

{#
    Abramowitz, M. & Stegun, I. A. (1964), Handbook of Mathematical Functions, 7.1.26. The exponent has a floor because
    some engines fail where exp() underflows.
#}
{% macro default__erfc(x) -%}
    {%- set t = '(1 / (1 + 0.3275911e0 * ' ~ x ~ '))' -%}
    (
        {{ t }} * (0.254829592e0 + {{ t }} * (-0.284496736e0 + {{ t }} * (
            1.421413741e0 + {{ t }} * (-1.453152027e0 + {{ t }} * 1.061405429e0)
        ))) * exp(-least({{ x }} * {{ x }}, 700))
    )
{%- endmacro %}

{# Whether dbt build or dbt run renders a model: only then does what is in the database matter. #}
{% macro is_model_run() -%}
    {{ return(execute and flags.WHICH in ['build', 'run'] and model.resource_type == 'model') }}
{%- endmacro %}
