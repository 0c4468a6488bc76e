with

customers as (

    select * from {{ ref('clean_customers') }}

)

select
    customer_number,
    customer_key
from customers
