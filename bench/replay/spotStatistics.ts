import { Curve } from "./random.js";

/**
 * What a recorded spot feed looks like, in numbers: BTCUSDT on Binance spot, 2024-08-08/09, two files, 99,574 lines in
 * 651 seconds, measured on the book as it is rebuilt from the snapshot and the depth updates. The generator draws from
 * these, so that a generated feed loads a handler as the recorded one does. Prices are in cents, quantities in lots of
 * 0.00001 BTC, which is how finely that market is quoted.
 */

const SHARES = [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1];
const measured = (...values: number[]) => new Curve(SHARES, values);

/** Lines of each kind, of 99,573 beside the one snapshot: per depth update there are 11.27 tickers and 3.06 trades. */
export const MIX = { depthUpdate: 6495, bookTicker: 73174, trade: 19904 };

/** Levels a side in the snapshot. */
export const SNAPSHOT_LEVELS = 1000;

/** Level changes in a depth update, both sides together; mean 45.9. */
export const CHANGES = measured(1, 3, 5, 7, 11, 14, 18, 22, 28, 38, 56, 104, 173, 279, 386, 501, 737, 1076);

/** Correlation of that number with the one before: busy moments last. */
export const CHANGES_PERSISTENCE = 0.58;

/** Share of the changes on the bid side, in updates of 10 changes and more; mean 0.5. */
export const BID_SHARE = new Curve(
  [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1],
  [0, 0.31, 0.41, 0.5, 0.59, 0.69, 0.75, 0.85, 1],
);

/** Tickers since the depth update before, for each level change of the update; over all, 0.2455. */
export const TICKERS_PER_CHANGE = measured(
  ...[0, 0, 0, 0, 0.067, 0.1, 0.138, 0.182, 0.227, 0.294, 0.385, 0.538, 0.706, 0.9, 1.118, 1.362, 2, 3],
);

/** The most tickers that were seen between two depth updates. */
export const TICKERS_AT_MOST = 187;

/**
 * Kinds of change behind the best level, as shares, chosen so that a generated feed shows the measured ones: of all
 * changes, 40.0 % insert, 39.0 % delete, 12.2 % modify (3.0 % at the best), 8.8 % delete what the book does not hold,
 * as it came and went within the interval. More of the last sort arise by themselves, when two changes meet.
 */
export const CHANGE_KINDS = { insert: 0.421, delete: 0.412, modify: 0.105, flicker: 0.062 };

/** All deletions, by shares of all changes: 142,458 of 298,111 (the levels of the snapshot are no changes). */
export const DELETE_SHARE = 0.478;

/** Distance of inserted and of flickering levels from the side's best price, in cents. */
export const INSERT_DISTANCE = measured(
  ...[
    1, 24, 207, 450, 996, 1676, 2466, 3727, 5347, 7723, 10995, 14742, 48209, 155682, 492071, 712896, 3744274, 5900000,
  ],
);
export const FLICKER_DISTANCE = measured(
  ...[
    1, 18, 102, 198, 408, 719, 1152, 1648, 2188, 3114, 5769, 12670, 154874, 616916, 625876, 2111056, 3977388, 3999390,
  ],
);

/**
 * Rank of deleted and of modified levels behind the best one, as a share of the side's levels: deleting by rank and
 * inserting by distance holds the density near the best prices where it was measured.
 */
export const DELETE_RANK = measured(
  ...[0.0003, 0.0008, 0.0026, 0.0052, 0.0132, 0.0257, 0.0412, 0.0645, 0.095, 0.1337, 0.1971, 0.3324, 0.5511, 0.818],
  ...[0.9034, 0.9169, 0.9801, 0.9995],
);
export const MODIFY_RANK = measured(
  ...[0.0003, 0.0005, 0.0014, 0.0025, 0.0055, 0.0102, 0.019, 0.0362, 0.07, 0.1278, 0.2257, 0.6697, 0.9495, 0.9559],
  ...[0.9617, 0.9828, 0.9949, 0.999],
);

/** Gap between neighbouring levels of the snapshot, in cents; mean 21.1. */
export const LEVEL_GAP = measured(1, 1, 1, 1, 3, 6, 8, 11, 16, 23, 33, 51, 74, 103, 137, 167, 229, 308);

/** Quantities, in lots: of levels in the snapshot, of inserted levels, of modified ones, of trades. */
export const RESTING_QUANTITY = measured(
  ...[9, 9, 9, 10, 14, 26, 44, 156, 809, 4528, 5398, 36573, 66361, 114566, 160578, 243072, 419442, 583690],
);
export const INSERT_QUANTITY = measured(
  ...[3, 9, 19, 48, 388, 1737, 4698, 4965, 5398, 8970, 24596, 46281, 66644, 114566, 160946, 299548, 882904, 55454879],
);
export const MODIFY_QUANTITY = measured(
  ...[
    1, 9, 14, 40, 811, 4157, 7200, 11384, 19299, 32275, 50682, 114566, 1917279, 3066090, 8453384, 13386233, 55166817,
    55463987,
  ],
);
export const TRADE_QUANTITY = measured(
  ...[1, 2, 9, 9, 9, 14, 30, 67, 240, 900, 2000, 5763, 10000, 24651, 32425, 38664, 73143, 693716],
);

/** Trades at one price that one taker's order causes: 6,096 such orders, mean 1.49. */
export const TRADES_PER_ORDER = new Curve([0, 0.75, 0.85, 0.9, 0.95, 0.99, 0.999, 1], [1, 1, 2, 2, 4, 9, 19, 28]);

/** Share of the changes of a best quantity that those orders make, of 66,573 such changes. */
export const TAKER_SHARE = 0.0916;

/** Share of the changes of a best quantity that raise it: 22,592 of 33,628 on the bid side. */
export const RAISE_SHARE = 0.67;

/** The book moves in 11.4 % of the updates, the busier the likelier: probability by the number of changes. */
export const MOVE_PROBABILITY = new Curve([12, 25, 32, 46, 76, 218, 1076], [0, 0.014, 0.04, 0.108, 0.284, 0.69, 1]);

/** How far it moves then, in cents for each change of the update. */
export const MOVE_PER_CHANGE = new Curve([0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1], [0.01, 0.3, 1, 2, 2.8, 4.5, 8, 12]);

/**
 * A move crosses levels in steps; each step is one order that takes several levels, or several cancelled together, and
 * gives one ticker: 6,600 tickers changed a price, in 740 moves. This is the share of levels that are not a step's last.
 */
export const STEP_CONTINUES = 0.8;

/**
 * Share of those steps that are orders, chosen so that a generated feed has as many trades as the recorded one: 1,039
 * orders took more than one level, 5 on the average, with two trades each.
 */
export const STEP_TRADED = 0.65;
export const TRADES_PER_LEVEL = [1, 2, 3];

/** Update ids for each change of the true book: 70.4 per depth update, which has 45.9 changes and 11.3 tickers. */
export const IDS_PER_CHANGE = 1.25;

/** Tickers that overtake a depth update they are newer than: none before 99.4 % of the updates. */
export const OVERTAKING = new Curve([0, 0.994, 0.999, 0.9999, 1], [0, 0, 1, 2, 4]);

/** Milliseconds between depth updates. */
export const UPDATE_MILLIS = 100;

/** Levels by which both sides together grew, a depth update: from 2,000 to 4,933 in 6,493. */
export const GROWTH_PER_UPDATE = 0.45;
