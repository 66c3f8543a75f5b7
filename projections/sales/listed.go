package sales

import (
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// listed books a sale that a provider's list tells of, unless a webhook told of
// it. It is never paid by its own word: payments come by themselves.
func (o *order) listed(e domain.SalesSold) error {
	currency := bucket(e.Currency)
	switch {
	case o.row.sold && !o.row.listed:
		return nil
	case o.row.listed:
		if currency != o.row.currency || !e.Total.Equal(o.row.listedSale.total) {
			o.flagListed(conflictingSale)
		}
		return o.close()
	}
	amounts, fits := saleOf(e, currency)
	o.row.sold, o.row.listed, o.row.listedSale = true, true, amounts
	o.row.currency = currency
	o.describe(e)
	o.flagListed(listedOnly)
	o.flagListed(e.Flags...)
	o.flagListed(doubts(currency)...)
	if _, unpaid := paymentSaid(e.PaymentStatus); unpaid != "" {
		o.flagListed(unpaid)
	}
	if o.row.told != "" && o.row.told != currency {
		o.flagListed(currencyDiffers)
	}
	if !fits {
		o.flagListed(itemsDiffer)
	}
	if err := o.post(amountRow{currency: currency, total: amounts.total}, amounts.postings(currency)); err != nil {
		return err
	}
	return o.close()
}

// unlist leaves the order as it would be without the list, because a webhook
// tells of the sale. What the list booked stays, and booked is true, if it is
// just that.
func (o *order) unlist(webhook sale, currency string) (booked bool, err error) {
	if !o.row.listed {
		return false, nil
	}
	was, in := o.row.listedSale, o.row.currency
	for _, word := range projections.SplitFlags(o.row.listedFlags) {
		o.row.flags = projections.RemoveFlag(o.row.flags, word)
	}
	o.row.sold, o.row.listed, o.row.listedSale, o.row.listedFlags = false, false, sale{}, ""
	if in == currency && was.equal(webhook) {
		return true, nil
	}
	return false, o.post(amountRow{currency: in, total: was.total.Neg()}, was.takenBack(in))
}

// flagListed flags the order by the word of a list, which goes with it.
func (o *order) flagListed(words ...string) {
	for _, word := range words {
		if flags := projections.AddFlags(o.row.flags, word); flags != o.row.flags {
			o.row.flags = flags
			o.row.listedFlags = projections.AddFlags(o.row.listedFlags, word)
		}
	}
}
