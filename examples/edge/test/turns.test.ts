/** Turns at the network: their order and their limit. */
import { expect, test } from "bun:test"
import { Refusal } from "../src/requests.ts"
import { Turns } from "../src/turns.ts"

test("predictions and learning alternate, whichever came first", async () => {
  const turns = new Turns(100)
  const order: Array<string> = []
  const take = async (lane: "predict" | "learn", name: string) => {
    await turns.next(lane)
    order.push(name)
  }
  const predictions = ["p1", "p2", "p3", "p4"].map((name) => take("predict", name))
  const learning = ["l1", "l2"].map((name) => take("learn", name))
  await Promise.all([...predictions, ...learning])
  expect(order).toEqual(["p1", "l1", "p2", "l2", "p3", "p4"])
})

test("a lane refuses requests beyond its places, and failed work frees its place", async () => {
  const turns = new Turns(2)
  const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const held = ends.map(({ promise }) => turns.within("predict", () => promise))
  const refusal = await turns.within("predict", async () => {}).catch((error) => error)
  expect(refusal).toBeInstanceOf(Refusal)
  expect(refusal).toMatchObject({ status: 503, headers: { "retry-after": "1" } })
  expect(await turns.within("learn", async () => "learnt")).toBe("learnt")
  ends[0]?.reject(new Error("failed"))
  expect(await held[0]?.catch((error) => error.message)).toBe("failed")
  expect(await turns.within("predict", async () => "predicted")).toBe("predicted")
  ends[1]?.resolve()
  await held[1]
})
