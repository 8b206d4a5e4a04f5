-- Compiled by pattern-confidence 0.1.0 from a Pipeline ending in LogisticRegression (scikit-learn 1.9.1).
-- Features (60): "body_atr", "range_atr", "body_to_range", "favourable_wick_atr", "adverse_wick_atr", "gap_atr",
--   "overlap_with_previous", "pattern_bars", "pattern_height_atr", "close_in_pattern", "stop_distance_atr",
--   "return_1_atr", "return_3_atr", "return_10_atr", "return_20_atr", "return_60_atr", "close_to_sma_20_atr",
--   "close_to_sma_50_atr", "close_to_sma_200_atr", "sma_20_slope_5_atr", "sma_50_slope_10_atr", "efficiency_ratio_20",
--   "net_up_bars_10", "close_run", "rsi_14", "rsi_14_change_5", "macd_atr", "macd_histogram_atr", "adx_14",
--   "di_difference_14", "stochastic_k_14", "cci_14", "mfi_14", "bollinger_z_20", "acceleration_5_atr", "atr_14_pct",
--   "atr_14_to_atr_100_log", "atr_14_percentile_100", "true_range_percentile_100", "return_sd_20_pct",
--   "return_sd_5_to_20_log", "bollinger_width_20_pct", "volume_to_mean_20_log", "volume_mean_20_to_100_log",
--   "volume_percentile_100", "up_volume_balance_20", "money_flow_20", "direction_sign", "pattern_reversal",
--   "support_distance_pct", "resistance_distance_pct", "target_distance_pct", "risk_to_reward",
--   "favourable_room_20_atr", "favourable_room_60_atr", "adverse_room_60_atr", "favourable_room_250_atr",
--   "adverse_room_250_atr", "hour_of_day", "day_of_week"
-- SHA-256 of the statements below: 8fcf6d79b3c65508b7e96117b4a74511a93081439b06f62a396dadffd5b24cea

CREATE OR REPLACE FUNCTION "ml_generated"."score_v0002"(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_score double precision;
  v_result_1 double precision;
BEGIN
  IF (pg_catalog.array_ndims(p_features) OPERATOR(pg_catalog.=) 1 AND pg_catalog.array_lower(p_features, 1) OPERATOR(pg_catalog.=) 1 AND pg_catalog.array_upper(p_features, 1) OPERATOR(pg_catalog.>=) 60) IS NOT TRUE THEN
    IF p_features IS NULL THEN
      RETURN NULL;
    END IF;
    RAISE EXCEPTION 'p_features must be a one-dimensional array of at least 60 values' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF pg_catalog.array_upper(p_features, 1) OPERATOR(pg_catalog.>) 60 THEN
    p_features := p_features[1:60];
  END IF;
  p_features := pg_catalog.array_replace(p_features, 'NaN'::double precision, NULL::double precision);
  IF 'Infinity'::double precision OPERATOR(pg_catalog.<=) ANY (p_features) OR '-Infinity'::double precision OPERATOR(pg_catalog.>=) ANY (p_features) THEN
    PERFORM "ml".check_features(p_features, 'Infinity'::double precision, TRUE);
  END IF;
  v_score := '-0.9042945707252552'::double precision;
  FOR v_position IN 1..60 LOOP
    v_score := v_score OPERATOR(pg_catalog.+) (((COALESCE(p_features[v_position], ('{0.3535682999450485,0.8863503924813003,0.5458754208754211,0.1500827864966523,0.15882072897139288,-0.0065779148086086104,0.4128008192524305,2,1.1865831477912465,0.7116948432312036,0.722367260788878,0.3314523807664686,0.15148452556431324,0.21896897569813403,0.2594069128077063,0.280217404823556,0.20871227420116448,0.2551780041766149,0.23747867773568104,0.011175172861258534,0.005451388156076589,0.20944163821570563,0,1,51.44472926757447,1.4418124357228344,0.025475332028186783,0.012359835226321045,24.305446672967896,0.7725368323848254,56.36642628348507,10.174253959745435,50.49829389296389,0.234423772342262,0.20969749074466576,2.5767362608986755,-0.03968727663183156,0.41,0.51,1.7409171019433813,-0.049879691186462544,11.358245461670094,-0.0666962555529915,-0.035761380478487745,0.49,0.016675954148757388,0.009483410707386477,1,1,5.884875924668577,4.245809373372182,5.060613122961756,0.3485756902400719,1.8143805793175927,3.4352493010396907,3.9476025199335236,7.8516636049837825,8.27882212409583,0,3}'::double precision[])[v_position]) OPERATOR(pg_catalog.-) ('{0.3213460942717945,0.9411975987299165,0.5096829525180159,0.20805045331567423,0.21832475031974932,-0.01736933079310889,0.39576153224388627,1.9067357512953367,1.2826307731198416,0.6309616897772962,0.7852479384700891,0.3039767634786844,0.1638106108438029,0.22195655607308268,0.22124144421327327,0.21422365946594912,0.20641208736268232,0.21285423004968826,0.1764845079619367,0.012367271956596693,0.007594835494021361,0.24089770162349858,0.27892918825561314,0.6464594127806563,51.40079139212754,1.3544449120829258,0.017505932557122093,0.011537520907385702,26.106226445521617,0.5968224774487748,55.0700456961227,9.07277420374451,50.604345723439934,0.1934970288480064,0.19251468967542146,2.8779289305445785,-0.020286165905109815,0.4449222797927528,0.5050172711571679,1.9834474380700549,-0.10054588905636329,13.221376710175285,-0.05203448855786684,-0.025820352245439833,0.49262694300518534,0.0156639150572062,0.009469495788546995,0.008635578583765112,0.7849740932642487,7.188534950986495,6.546277435190254,5.885793441445012,0.39851632328251424,2.1851023142537938,4.162372323583635,4.587828433501973,9.389862500217305,9.721073961599524,0,3.001727115716753}'::double precision[])[v_position]) OPERATOR(pg_catalog./) ('{0.557267893030086,0.357043059682363,0.2823744308611256,0.20482354876122236,0.21696026826490647,0.38222258383388624,0.26573675759204596,0.8330020729198038,0.5423257298058649,0.30384445383764774,0.5023994016466601,0.6646235590136581,1.1475783228096952,2.118799533996988,3.0984450470151677,5.7035304616163796,1.684752815522064,2.8576967780661198,6.071342989972572,0.7452221131619765,0.995186122022508,0.17191930354159174,3.089972901518478,2.133510183379488,12.601204687184245,9.485790095383745,0.8035999721596307,0.22333627001642958,9.845076910242454,14.377296650909804,30.739500455436016,107.15311183361456,16.4660547087026,1.3246258649489806,2.166173756505129,1.4102882557800838,0.20754619432248336,0.3308381868476917,0.2972571063346915,1.047197508223653,0.3920686428557073,8.09690878582719,0.33586406393850504,0.2042507179532083,0.2963819666492946,0.2466747060984603,0.154224207381797,0.9999627126961287,0.4108403171163031,5.566093924957719,7.370098104059342,3.0169230007944123,0.2899498361054933,1.7774274368619438,3.3365997709296638,3.329109705609548,7.506283089356305,7.364123455581573,1,1.4046544101272251}'::double precision[])[v_position]) OPERATOR(pg_catalog.*) ('{0.0028541667995079407,0.010109576218528931,0.025643274931623203,0.030163151603281816,0.0026925295484832006,0.024153176592755995,-0.019380153360021246,0.015491376753570565,0.0433002332692408,0.0041603849506585255,-0.035821558048249824,0.016283541167061027,0.055918712351119164,-0.004305276482174332,0.02870497791746028,-0.027113696248415687,0.012665516960282525,0.01856906675064962,-0.04909823113652605,-0.001778491510551134,-0.004032066762934114,-0.025670548886379818,-0.030998722150738876,-0.010873697934131968,0.02622269155685797,-0.027986955018578636,0.018298572744453755,-0.0009643126656573628,-0.0009255606410653132,0.03136505531909976,0.011444688362029833,0.0028159986731097516,0.028205259952375644,0.02746649940966113,-0.042608387850783726,0.002030597156864894,0.25848845269042153,-0.0054974036150740825,-0.02410424643869809,0.030558715432665005,0.014058657255912958,-0.026813472393914708,-0.013595552628332393,0.0002535068880983256,0.03011499076766142,-0.013753996376167945,-0.013580677032929249,0.12921047563714846,0.006610348504699323,-0.00945813364303399,0.021387869827174978,-0.1169346600791337,0.006386896362987862,-0.005859734818516757,0.05439329450604601,0.005911751329553347,0.06513844259738485,0.0644013410587679,0,-0.015532557205347111}'::double precision[])[v_position]);
  END LOOP;
  v_result_1 := "ml".expit(v_score);
  RETURN ARRAY['1'::double precision OPERATOR(pg_catalog.-) v_result_1, v_result_1];
END
$function$;

COMMENT ON FUNCTION "ml_generated"."score_v0002"(double precision[]) IS
E'LogisticRegression: probabilities of the classes [false, true]; p_features holds ["body_atr", "range_atr", "body_to_range", "favourable_wick_atr", "adverse_wick_atr", "gap_atr", "overlap_with_previous", "pattern_bars", "pattern_height_atr", "close_in_pattern", "stop_distance_atr", "return_1_atr", "return_3_atr", "return_10_atr", "return_20_atr", "return_60_atr", "close_to_sma_20_atr", "close_to_sma_50_atr", "close_to_sma_200_atr", "sma_20_slope_5_atr", "sma_50_slope_10_atr", "efficiency_ratio_20", "net_up_bars_10", "close_run", "rsi_14", "rsi_14_change_5", "macd_atr", "macd_histogram_atr", "adx_14", "di_difference_14", "stochastic_k_14", "cci_14", "mfi_14", "bollinger_z_20", "acceleration_5_atr", "atr_14_pct", "atr_14_to_atr_100_log", "atr_14_percentile_100", "true_range_percentile_100", "return_sd_20_pct", "return_sd_5_to_20_log", "bollinger_width_20_pct", "volume_to_mean_20_log", "volume_mean_20_to_100_log", "volume_percentile_100", "up_volume_balance_20", "money_flow_20", "direction_sign", "pattern_reversal", "support_distance_pct", "resistance_distance_pct", "target_distance_pct", "risk_to_reward", "favourable_room_20_atr", "favourable_room_60_atr", "adverse_room_60_atr", "favourable_room_250_atr", "adverse_room_250_atr", "hour_of_day", "day_of_week"].';

REVOKE ALL ON FUNCTION "ml_generated"."score_v0002"(double precision[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION "ml_generated"."score_v0002_columns"("body_atr" double precision, "range_atr" double precision, "body_to_range" double precision, "favourable_wick_atr" double precision, "adverse_wick_atr" double precision, "gap_atr" double precision, "overlap_with_previous" double precision, "pattern_bars" double precision, "pattern_height_atr" double precision, "close_in_pattern" double precision, "stop_distance_atr" double precision, "return_1_atr" double precision, "return_3_atr" double precision, "return_10_atr" double precision, "return_20_atr" double precision, "return_60_atr" double precision, "close_to_sma_20_atr" double precision, "close_to_sma_50_atr" double precision, "close_to_sma_200_atr" double precision, "sma_20_slope_5_atr" double precision, "sma_50_slope_10_atr" double precision, "efficiency_ratio_20" double precision, "net_up_bars_10" double precision, "close_run" double precision, "rsi_14" double precision, "rsi_14_change_5" double precision, "macd_atr" double precision, "macd_histogram_atr" double precision, "adx_14" double precision, "di_difference_14" double precision, "stochastic_k_14" double precision, "cci_14" double precision, "mfi_14" double precision, "bollinger_z_20" double precision, "acceleration_5_atr" double precision, "atr_14_pct" double precision, "atr_14_to_atr_100_log" double precision, "atr_14_percentile_100" double precision, "true_range_percentile_100" double precision, "return_sd_20_pct" double precision, "return_sd_5_to_20_log" double precision, "bollinger_width_20_pct" double precision, "volume_to_mean_20_log" double precision, "volume_mean_20_to_100_log" double precision, "volume_percentile_100" double precision, "up_volume_balance_20" double precision, "money_flow_20" double precision, "direction_sign" double precision, "pattern_reversal" double precision, "support_distance_pct" double precision, "resistance_distance_pct" double precision, "target_distance_pct" double precision, "risk_to_reward" double precision, "favourable_room_20_atr" double precision, "favourable_room_60_atr" double precision, "adverse_room_60_atr" double precision, "favourable_room_250_atr" double precision, "adverse_room_250_atr" double precision, "hour_of_day" double precision, "day_of_week" double precision) RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$
SELECT "ml_generated"."score_v0002"(ARRAY[$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60])
$function$;

COMMENT ON FUNCTION "ml_generated"."score_v0002_columns"(double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision) IS
E'LogisticRegression: probabilities of the classes [false, true]; for the columns of a set, inlined into the statement that calls it.';

REVOKE ALL ON FUNCTION "ml_generated"."score_v0002_columns"(double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision) FROM PUBLIC;

CREATE OR REPLACE FUNCTION "ml_generated"."explain_v0002"(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_contributions double precision[];
  v_distance double precision;
BEGIN
  IF (pg_catalog.array_ndims(p_features) OPERATOR(pg_catalog.=) 1 AND pg_catalog.array_lower(p_features, 1) OPERATOR(pg_catalog.=) 1 AND pg_catalog.array_upper(p_features, 1) OPERATOR(pg_catalog.>=) 60) IS NOT TRUE THEN
    IF p_features IS NULL THEN
      RETURN NULL;
    END IF;
    RAISE EXCEPTION 'p_features must be a one-dimensional array of at least 60 values' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF pg_catalog.array_upper(p_features, 1) OPERATOR(pg_catalog.>) 60 THEN
    p_features := p_features[1:60];
  END IF;
  p_features := pg_catalog.array_replace(p_features, 'NaN'::double precision, NULL::double precision);
  v_contributions := '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.9042945707252552}'::double precision[];
  IF 'Infinity'::double precision OPERATOR(pg_catalog.<=) ANY (p_features) OR '-Infinity'::double precision OPERATOR(pg_catalog.>=) ANY (p_features) THEN
    PERFORM "ml".check_features(p_features, 'Infinity'::double precision, TRUE);
  END IF;
  FOR v_position IN 1..60 LOOP
    v_distance := ((COALESCE(p_features[v_position], ('{0.3535682999450485,0.8863503924813003,0.5458754208754211,0.1500827864966523,0.15882072897139288,-0.0065779148086086104,0.4128008192524305,2,1.1865831477912465,0.7116948432312036,0.722367260788878,0.3314523807664686,0.15148452556431324,0.21896897569813403,0.2594069128077063,0.280217404823556,0.20871227420116448,0.2551780041766149,0.23747867773568104,0.011175172861258534,0.005451388156076589,0.20944163821570563,0,1,51.44472926757447,1.4418124357228344,0.025475332028186783,0.012359835226321045,24.305446672967896,0.7725368323848254,56.36642628348507,10.174253959745435,50.49829389296389,0.234423772342262,0.20969749074466576,2.5767362608986755,-0.03968727663183156,0.41,0.51,1.7409171019433813,-0.049879691186462544,11.358245461670094,-0.0666962555529915,-0.035761380478487745,0.49,0.016675954148757388,0.009483410707386477,1,1,5.884875924668577,4.245809373372182,5.060613122961756,0.3485756902400719,1.8143805793175927,3.4352493010396907,3.9476025199335236,7.8516636049837825,8.27882212409583,0,3}'::double precision[])[v_position]) OPERATOR(pg_catalog.-) ('{0.3213460942717945,0.9411975987299165,0.5096829525180159,0.20805045331567423,0.21832475031974932,-0.01736933079310889,0.39576153224388627,1.9067357512953367,1.2826307731198416,0.6309616897772962,0.7852479384700891,0.3039767634786844,0.1638106108438029,0.22195655607308268,0.22124144421327327,0.21422365946594912,0.20641208736268232,0.21285423004968826,0.1764845079619367,0.012367271956596693,0.007594835494021361,0.24089770162349858,0.27892918825561314,0.6464594127806563,51.40079139212754,1.3544449120829258,0.017505932557122093,0.011537520907385702,26.106226445521617,0.5968224774487748,55.0700456961227,9.07277420374451,50.604345723439934,0.1934970288480064,0.19251468967542146,2.8779289305445785,-0.020286165905109815,0.4449222797927528,0.5050172711571679,1.9834474380700549,-0.10054588905636329,13.221376710175285,-0.05203448855786684,-0.025820352245439833,0.49262694300518534,0.0156639150572062,0.009469495788546995,0.008635578583765112,0.7849740932642487,7.188534950986495,6.546277435190254,5.885793441445012,0.39851632328251424,2.1851023142537938,4.162372323583635,4.587828433501973,9.389862500217305,9.721073961599524,0,3.001727115716753}'::double precision[])[v_position]) OPERATOR(pg_catalog./) ('{0.557267893030086,0.357043059682363,0.2823744308611256,0.20482354876122236,0.21696026826490647,0.38222258383388624,0.26573675759204596,0.8330020729198038,0.5423257298058649,0.30384445383764774,0.5023994016466601,0.6646235590136581,1.1475783228096952,2.118799533996988,3.0984450470151677,5.7035304616163796,1.684752815522064,2.8576967780661198,6.071342989972572,0.7452221131619765,0.995186122022508,0.17191930354159174,3.089972901518478,2.133510183379488,12.601204687184245,9.485790095383745,0.8035999721596307,0.22333627001642958,9.845076910242454,14.377296650909804,30.739500455436016,107.15311183361456,16.4660547087026,1.3246258649489806,2.166173756505129,1.4102882557800838,0.20754619432248336,0.3308381868476917,0.2972571063346915,1.047197508223653,0.3920686428557073,8.09690878582719,0.33586406393850504,0.2042507179532083,0.2963819666492946,0.2466747060984603,0.154224207381797,0.9999627126961287,0.4108403171163031,5.566093924957719,7.370098104059342,3.0169230007944123,0.2899498361054933,1.7774274368619438,3.3365997709296638,3.329109705609548,7.506283089356305,7.364123455581573,1,1.4046544101272251}'::double precision[])[v_position]) OPERATOR(pg_catalog.-) ('{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}'::double precision[])[v_position];
    IF pg_catalog.abs(v_distance) OPERATOR(pg_catalog.>) '1e-100'::double precision THEN
      v_contributions[('{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60}'::integer[])[v_position]] := v_contributions[('{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60}'::integer[])[v_position]] OPERATOR(pg_catalog.+) (v_distance OPERATOR(pg_catalog.*) ('{0.0028541667995079407,0.010109576218528931,0.025643274931623203,0.030163151603281816,0.0026925295484832006,0.024153176592755995,-0.019380153360021246,0.015491376753570565,0.0433002332692408,0.0041603849506585255,-0.035821558048249824,0.016283541167061027,0.055918712351119164,-0.004305276482174332,0.02870497791746028,-0.027113696248415687,0.012665516960282525,0.01856906675064962,-0.04909823113652605,-0.001778491510551134,-0.004032066762934114,-0.025670548886379818,-0.030998722150738876,-0.010873697934131968,0.02622269155685797,-0.027986955018578636,0.018298572744453755,-0.0009643126656573628,-0.0009255606410653132,0.03136505531909976,0.011444688362029833,0.0028159986731097516,0.028205259952375644,0.02746649940966113,-0.042608387850783726,0.002030597156864894,0.25848845269042153,-0.0054974036150740825,-0.02410424643869809,0.030558715432665005,0.014058657255912958,-0.026813472393914708,-0.013595552628332393,0.0002535068880983256,0.03011499076766142,-0.013753996376167945,-0.013580677032929249,0.12921047563714846,0.006610348504699323,-0.00945813364303399,0.021387869827174978,-0.1169346600791337,0.006386896362987862,-0.005859734818516757,0.05439329450604601,0.005911751329553347,0.06513844259738485,0.0644013410587679,0,-0.015532557205347111}'::double precision[])[v_position]);
    END IF;
  END LOOP;
  RETURN v_contributions;
END
$function$;

COMMENT ON FUNCTION "ml_generated"."explain_v0002"(double precision[]) IS
E'LogisticRegression: contributions to the raw output (the margin of boosting and linear models, the probability or value of forests, before calibration and link function, and the mean over folds), against the background [0.3213460942717945, 0.9411975987299165, 0.5096829525180159, 0.20805045331567423, 0.21832475031974932, -0.01736933079310889, 0.39576153224388627, 1.9067357512953367, 1.2826307731198416, 0.6309616897772962, 0.7852479384700891, 0.3039767634786844, 0.1638106108438029, 0.22195655607308268, 0.22124144421327327, 0.21422365946594912, 0.20641208736268232, 0.21285423004968826, 0.1764845079619367, 0.012367271956596693, 0.007594835494021361, 0.24089770162349858, 0.27892918825561314, 0.6464594127806563, 51.40079139212754, 1.3544449120829258, 0.017505932557122093, 0.011537520907385702, 26.106226445521617, 0.5968224774487748, 55.0700456961227, 9.07277420374451, 50.604345723439934, 0.1934970288480064, 0.19251468967542146, 2.8779289305445785, -0.020286165905109815, 0.4449222797927528, 0.5050172711571679, 1.9834474380700549, -0.10054588905636329, 13.221376710175285, -0.05203448855786684, -0.025820352245439833, 0.49262694300518534, 0.0156639150572062, 0.009469495788546995, 0.008635578583765112, 0.7849740932642487, 7.188534950986495, 6.546277435190254, 5.885793441445012, 0.39851632328251424, 2.1851023142537938, 4.162372323583635, 4.587828433501973, 9.389862500217305, 9.721073961599524, 0.0, 3.001727115716753]; per output, one value per feature and then the base value, which add up to the raw output; p_features holds ["body_atr", "range_atr", "body_to_range", "favourable_wick_atr", "adverse_wick_atr", "gap_atr", "overlap_with_previous", "pattern_bars", "pattern_height_atr", "close_in_pattern", "stop_distance_atr", "return_1_atr", "return_3_atr", "return_10_atr", "return_20_atr", "return_60_atr", "close_to_sma_20_atr", "close_to_sma_50_atr", "close_to_sma_200_atr", "sma_20_slope_5_atr", "sma_50_slope_10_atr", "efficiency_ratio_20", "net_up_bars_10", "close_run", "rsi_14", "rsi_14_change_5", "macd_atr", "macd_histogram_atr", "adx_14", "di_difference_14", "stochastic_k_14", "cci_14", "mfi_14", "bollinger_z_20", "acceleration_5_atr", "atr_14_pct", "atr_14_to_atr_100_log", "atr_14_percentile_100", "true_range_percentile_100", "return_sd_20_pct", "return_sd_5_to_20_log", "bollinger_width_20_pct", "volume_to_mean_20_log", "volume_mean_20_to_100_log", "volume_percentile_100", "up_volume_balance_20", "money_flow_20", "direction_sign", "pattern_reversal", "support_distance_pct", "resistance_distance_pct", "target_distance_pct", "risk_to_reward", "favourable_room_20_atr", "favourable_room_60_atr", "adverse_room_60_atr", "favourable_room_250_atr", "adverse_room_250_atr", "hour_of_day", "day_of_week"].';

REVOKE ALL ON FUNCTION "ml_generated"."explain_v0002"(double precision[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION "ml_generated"."features_v0002"(p_features ml.feature_vector)
RETURNS double precision[]
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
BEGIN
    -- Not a SQL function: inlining 60 elements into a dynamic statement costs ten times more than this call.
    RETURN ARRAY[
        p_features."body_atr",
        p_features."range_atr",
        p_features."body_to_range",
        p_features."favourable_wick_atr",
        p_features."adverse_wick_atr",
        p_features."gap_atr",
        p_features."overlap_with_previous",
        p_features."pattern_bars",
        p_features."pattern_height_atr",
        p_features."close_in_pattern",
        p_features."stop_distance_atr",
        p_features."return_1_atr",
        p_features."return_3_atr",
        p_features."return_10_atr",
        p_features."return_20_atr",
        p_features."return_60_atr",
        p_features."close_to_sma_20_atr",
        p_features."close_to_sma_50_atr",
        p_features."close_to_sma_200_atr",
        p_features."sma_20_slope_5_atr",
        p_features."sma_50_slope_10_atr",
        p_features."efficiency_ratio_20",
        p_features."net_up_bars_10",
        p_features."close_run",
        p_features."rsi_14",
        p_features."rsi_14_change_5",
        p_features."macd_atr",
        p_features."macd_histogram_atr",
        p_features."adx_14",
        p_features."di_difference_14",
        p_features."stochastic_k_14",
        p_features."cci_14",
        p_features."mfi_14",
        p_features."bollinger_z_20",
        p_features."acceleration_5_atr",
        p_features."atr_14_pct",
        p_features."atr_14_to_atr_100_log",
        p_features."atr_14_percentile_100",
        p_features."true_range_percentile_100",
        p_features."return_sd_20_pct",
        p_features."return_sd_5_to_20_log",
        p_features."bollinger_width_20_pct",
        p_features."volume_to_mean_20_log",
        p_features."volume_mean_20_to_100_log",
        p_features."volume_percentile_100",
        p_features."up_volume_balance_20",
        p_features."money_flow_20",
        p_features."direction_sign",
        p_features."pattern_reversal",
        p_features."support_distance_pct",
        p_features."resistance_distance_pct",
        p_features."target_distance_pct",
        p_features."risk_to_reward",
        p_features."favourable_room_20_atr",
        p_features."favourable_room_60_atr",
        p_features."adverse_room_60_atr",
        p_features."favourable_room_250_atr",
        p_features."adverse_room_250_atr",
        p_features."hour_of_day",
        p_features."day_of_week"
    ];
END
$function$;
COMMENT ON FUNCTION "ml_generated"."features_v0002"(ml.feature_vector) IS
    'The features of this model, picked by name from the catalogue, in the order that its score function takes.';
REVOKE ALL ON FUNCTION "ml_generated"."features_v0002"(ml.feature_vector) FROM PUBLIC;
