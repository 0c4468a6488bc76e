with

orders as (

    select * from {{ ref('clean_orders') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

)

select
    orders.customer_number,
    orders.order_id,
    orders.ordered_on,
    orders.net_amount
from orders
inner join as_of on orders.ordered_on <= as_of.as_of_date
where orders.is_counted
