import type { Random } from "./random.js";
import { SortedLevels } from "./sortedLevels.js";
import * as spot from "./spotStatistics.js";

/** Where the recording begins, in cents. */
const OPENING_BID = 6183763;
const OPENING_UPDATE_ID = 50093239189;

/** More than the snapshot shows: updates reach further down than it does. */
const OPENING_LEVELS = spot.SNAPSHOT_LEVELS + 200;

/** Growth ends here, levels a side, so that a feed of any length keeps a book like the recorded one. */
const SIDE_LEVELS_LIMIT = 3000;

/** Below this a side gets no more deletions. */
const SIDE_LEVELS_AT_LEAST = 100;

/** Is told of what becomes public while the market moves. */
export interface MarketListener {
  /** The best price or quantity of a side has changed. */
  ticker(): void;
  /** A taker's order met a resting one: price in cents, quantity in lots. */
  trade(price: number, quantity: number, buyerIsMaker: boolean): void;
}

/** One side of the true book, and what has changed in it since the last depth update. */
class MarketSide {
  readonly levels: SortedLevels;
  readonly touched = new Set<number>();

  constructor(readonly sign: 1 | -1) {
    this.levels = new SortedLevels(sign);
  }

  get best(): number {
    return this.levels.price(this.levels.length - 1);
  }

  get bestQuantity(): number {
    return this.levels.quantity(this.levels.length - 1);
  }

  set(price: number, quantity: number): void {
    this.levels.set(price, quantity);
    this.touched.add(price);
  }
}

/**
 * A market in small: the true book of one instrument, changed by placed, cancelled, modified and traded orders, drawn
 * from the measured statistics of a recorded feed. Every change takes update ids; whenever a best level changes, the
 * listener hears of it with the id of that change, so what it writes agrees with the book at each id.
 *
 * Prices are whole cents, quantities whole lots of 0.00001: all arithmetic is exact.
 */
export class SimulatedMarket {
  readonly bids = new MarketSide(1);
  readonly asks = new MarketSide(-1);
  /** Id of the last change. */
  updateId = OPENING_UPDATE_ID;
  /** Share of the current interval that has passed. */
  progress = 0;
  #updates = 0;
  #busyness = 0.5;
  #levelsBefore = 0;

  constructor(
    private readonly random: Random,
    private readonly listener: MarketListener,
  ) {
    this.#open(this.bids, OPENING_BID);
    this.#open(this.asks, OPENING_BID + 1);
  }

  /** Lets the time between two depth updates pass; afterwards, `touched` of both sides names the levels changed in it. */
  passInterval(changes: number = this.#drawChanges()): void {
    const { random, bids, asks } = this;
    bids.touched.clear();
    asks.touched.clear();
    const bidShare = spot.BID_SHARE.draw(random);
    let moving = random.chance(spot.MOVE_PROBABILITY.at(changes));
    let atBest = Math.min(spot.TICKERS_AT_MOST, Math.round(spot.TICKERS_PER_CHANGE.draw(random) * changes));
    const planned = atBest + changes;
    // A change may hit a level that has changed already; a crowded interval is cut off rather than waited for.
    const limit = 4 * planned + 100;
    for (let turn = 0; turn < limit; turn++) {
      const open = changes - bids.touched.size - asks.touched.size - (atBest > 0 ? this.#untouchedBests() : 0);
      if (open <= 0 && atBest <= 0) break;
      this.progress = Math.min(1, turn / planned);
      if (moving && random.chance(0.1)) {
        moving = false;
        atBest = Math.max(0, atBest - this.#move(changes));
      } else if (random.chance(atBest / (atBest + Math.max(0, open)))) {
        atBest--;
        this.#changeBest(random.chance(bidShare) ? bids : asks);
      } else {
        this.#changeBehindBest(random.chance(bidShare) ? bids : asks);
      }
    }
    this.progress = 1;
    this.#updates++;
  }

  #open(side: MarketSide, best: number): void {
    const { random } = this;
    this.#levelsBefore += OPENING_LEVELS;
    for (let level = 0, price = best; level < OPENING_LEVELS; level++) {
      side.levels.set(price, lots(spot.RESTING_QUANTITY.draw(random)));
      price -= side.sign * Math.max(1, Math.round(spot.LEVEL_GAP.draw(random)));
    }
  }

  #drawChanges(): number {
    const { random } = this;
    const persists = random.chance(spot.CHANGES_PERSISTENCE);
    const share = persists ? this.#busyness + 0.1 * (random.share() - 0.5) : random.share();
    // Reflected at the ends, so that all shares stay equally likely.
    this.#busyness = share < 0 ? -share : share > 1 ? 2 - share : share;
    return Math.max(1, Math.round(spot.CHANGES.at(this.#busyness)));
  }

  #untouchedBests(): number {
    const { bids, asks } = this;
    return (bids.touched.has(bids.best) ? 0 : 1) + (asks.touched.has(asks.best) ? 0 : 1);
  }

  /** Sets a level, which takes one update id or two. */
  #set(side: MarketSide, price: number, quantity: number): void {
    this.updateId += this.random.chance(spot.IDS_PER_CHANGE - 1) ? 2 : 1;
    side.set(price, quantity);
  }

  #changeBest(side: MarketSide): void {
    const { random } = this;
    if (random.chance(spot.TAKER_SHARE) && this.#takeFromBest(side)) return;
    const quantity = side.bestQuantity;
    const lowered = Math.max(1, Math.round(quantity * (1 - 0.6 * random.share())));
    const raised = quantity + lots(spot.INSERT_QUANTITY.draw(random));
    this.#set(side, side.best, random.chance(spot.RAISE_SHARE) || lowered === quantity ? raised : lowered);
    this.listener.ticker();
  }

  /** A taker's order meets orders at the best price, which keeps at least one lot. False where there is only one. */
  #takeFromBest(side: MarketSide): boolean {
    const { random } = this;
    const price = side.best;
    const trades = this.#drawTrades(side.bestQuantity - 1, Math.round(spot.TRADES_PER_ORDER.draw(random)));
    if (trades.length === 0) return false;
    this.#set(side, price, side.bestQuantity - trades.reduce((sum, quantity) => sum + quantity, 0));
    this.listener.ticker();
    for (const quantity of trades) this.listener.trade(price, quantity, side === this.bids);
    return true;
  }

  /** Quantities of up to `count` trades that together take no more than `available`. */
  #drawTrades(available: number, count: number): number[] {
    const quantities: number[] = [];
    for (let left = available; left > 0 && quantities.length < count; ) {
      const quantity = Math.min(left, lots(spot.TRADE_QUANTITY.draw(this.random)));
      quantities.push(quantity);
      left -= quantity;
    }
    return quantities;
  }

  /** Moves both best prices, up or down, through at most half as many levels as the interval has changes. */
  #move(changes: number): number {
    const { random } = this;
    const upwards = random.chance(0.5);
    const [following, crossed] = upwards ? [this.bids, this.asks] : [this.asks, this.bids];
    const { sign } = following;
    let target = following.best + sign * Math.max(1, Math.round(spot.MOVE_PER_CHANGE.draw(random) * changes));
    const first = crossed.levels.length - 1;
    const limit = Math.max(1, changes >> 1);
    const beyond = crossed.levels.price(Math.max(0, first - limit));
    if ((target - beyond) * sign >= 0) target = beyond - sign;
    let tickers = 1;
    for (; (target - crossed.best) * sign >= 0; tickers++) this.#cross(crossed, target);
    this.#set(following, target, lots(spot.INSERT_QUANTITY.draw(random)));
    this.listener.ticker();
    if (crossed.best === target + sign) return tickers;
    this.#set(crossed, target + sign, lots(spot.INSERT_QUANTITY.draw(random)));
    this.listener.ticker();
    return tickers + 1;
  }

  /** One step of a move: levels up to `target` at most, at least one, are taken by an order or cancelled together. */
  #cross(side: MarketSide, target: number): void {
    const { random } = this;
    const traded = random.chance(spot.STEP_TRADED);
    const trades: { price: number; quantity: number }[] = [];
    do {
      const price = side.best;
      const count = traded ? spot.TRADES_PER_LEVEL[random.below(spot.TRADES_PER_LEVEL.length)]! : 0;
      // What the order leaves of the level is cancelled.
      for (const quantity of this.#drawTrades(side.bestQuantity, count)) trades.push({ price, quantity });
      this.#set(side, price, 0);
    } while ((side.best - target) * side.sign >= 0 && random.chance(spot.STEP_CONTINUES));
    this.listener.ticker();
    for (const { price, quantity } of trades) this.listener.trade(price, quantity, side === this.bids);
  }

  #changeBehindBest(side: MarketSide): void {
    const { random } = this;
    const kinds = spot.CHANGE_KINDS;
    const insert = kinds.insert + this.#growthPressure(side);
    const remove = kinds.insert + kinds.delete - insert;
    const draw = random.share();
    if (draw < insert) this.#insert(side);
    else if (draw < insert + remove) this.#deleteOrModify(side, true);
    else if (draw < insert + remove + kinds.modify) this.#deleteOrModify(side, false);
    else this.#flicker(side);
  }

  /** Shifts up to 0.1 from deletions to insertions, or back, to hold the side near its intended number of levels. */
  #growthPressure(side: MarketSide): number {
    const grown = (this.#levelsBefore + this.#updates * spot.GROWTH_PER_UPDATE) / 2;
    const missing = Math.min(grown, SIDE_LEVELS_LIMIT) - side.levels.length;
    return 0.1 * Math.max(-1, Math.min(1, missing / 200));
  }

  #insert(side: MarketSide): void {
    const price = this.#freePrice(side, spot.INSERT_DISTANCE.draw(this.random));
    if (price > 0) this.#set(side, price, lots(spot.INSERT_QUANTITY.draw(this.random)));
  }

  #deleteOrModify(side: MarketSide, deleting: boolean): void {
    const { random } = this;
    const { levels } = side;
    if (levels.length < SIDE_LEVELS_AT_LEAST) {
      this.#insert(side);
      return;
    }
    const rank = (deleting ? spot.DELETE_RANK : spot.MODIFY_RANK).draw(random) * levels.length;
    const price = levels.price(levels.length - 1 - Math.max(1, Math.floor(rank)));
    this.#set(side, price, deleting ? 0 : lots(spot.MODIFY_QUANTITY.draw(random)));
  }

  /** An order that is placed and cancelled before the update is sent: a deletion of a level that nobody has seen. */
  #flicker(side: MarketSide): void {
    const price = this.#freePrice(side, spot.FLICKER_DISTANCE.draw(this.random));
    if (price <= 0) return;
    this.#set(side, price, lots(spot.INSERT_QUANTITY.draw(this.random)));
    this.#set(side, price, 0);
  }

  /** The first price without a level at the distance or behind; may be 0 or less on the bid side. */
  #freePrice(side: MarketSide, distance: number): number {
    let price = side.best - side.sign * Math.max(1, Math.round(distance));
    while (price > 0 && side.levels.quantityAt(price) !== 0) price -= side.sign;
    return price;
  }
}

/** A drawn quantity as a whole number of lots, at least one. */
function lots(drawn: number): number {
  return Math.max(1, Math.round(drawn));
}
