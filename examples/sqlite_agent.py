"""An agent in thirty lines: it looks what runs out and orders it. It has no access to the database: it proposes, and
says on what grounds. Where Deedbook is and whose token this is: DEED_GATEWAY, DEED_STATUS and DEED_TOKEN_FILE."""

import ast
import asyncio
import sys

from deedbook import Client, DataSource, Evidence, Intent, SubmissionRejected

LOW = "SELECT id, item FROM stock WHERE in_stock < 10"
ORDER = "INSERT INTO orders (stock_id, amount) VALUES ({:d}, 100)"


async def main() -> None:
    async with Client() as client:
        look = Intent(tool="shop/read_query", capability="stock.read", account="shop", arguments={"query": LOW})
        asked = await client.submit(look)
        seen = (await client.wait(asked)).succeeded_or_raise()
        for row in ast.literal_eval(seen.summary):
            order = Intent(
                key=f"order-{row['id']}-week-47",  # one order of an item a week, however often this runs
                tool="shop/write_query",
                capability="stock.order",
                account="shop",
                arguments={"query": ORDER.format(row["id"])},
                evidence=(Evidence.event(seen.intent_id, seen.timeline[-1].event_id),),
                data_sources=(DataSource("stock", asked.sent_at),),
            )
            try:
                deed = await client.wait(await client.submit(order))
                sys.stdout.write(
                    f"{row['item']}: {deed.state}, {deed.summary or deed.code}, cost {deed.cost_micros / 1e6:.2f}\n"
                )
            except SubmissionRejected as rejected:
                sys.stdout.write(f"{row['item']}: {rejected}\n")


if __name__ == "__main__":
    asyncio.run(main())
