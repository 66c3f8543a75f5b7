package domain

import "strings"

// NormalCurrency returns a currency code as it is kept: without white space
// around it, the letters a to z in upper case. "uSd " is USD. Other letters stay as
// they are: the upper case of "ſ" is "S", and "uſd" is no dollar.
func NormalCurrency(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, strings.TrimSpace(s))
}

// Exponent returns how many digits behind the point the currency's minor unit
// has (ISO 4217), and whether the code is one of that standard's.
func Exponent(currency string) (digits int32, known bool) {
	switch {
	case !strings.Contains(iso4217, " "+currency+" ") || len(currency) != 3:
		return 2, false
	case strings.Contains(noMinor, currency):
		return 0, true
	case strings.Contains(threeMinor, currency):
		return 3, true
	case strings.Contains(fourMinor, currency):
		return 4, true
	}
	return 2, true
}

// ISO 4217 list one of January 2026, funds and metals left out.
const (
	iso4217 = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD " +
		"CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD " +
		"GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK " +
		"LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR " +
		"PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP " +
		"SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF " +
		"YER ZAR ZMW ZWG "
	noMinor    = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
	threeMinor = "BHD IQD JOD KWD LYD OMR TND"
	fourMinor  = "CLF UYW"
)

// currency wants the field of that name to be a code as [NormalCurrency] gives
// it, or none.
func (c *check) currency(s string) {
	c.label("currency", s)
	if s != NormalCurrency(s) {
		c.fail("currency", "is not in its normal form")
	}
}

// flags wants a list of short words.
func (c *check) flags(flags []string) {
	for _, f := range flags {
		c.id("flags", f)
	}
}
